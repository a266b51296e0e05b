-- What the SQL server for analysts may do: read where the tables' metadata lies and which versions were published. Nothing else.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'viewledger_analyst') THEN
        BEGIN
            CREATE ROLE viewledger_analyst NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
        END;
    END IF;
END $$;

-- Iceberg makes its table with the first batch run, word for word so; a right can only be given on what is there.
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);

GRANT USAGE ON SCHEMA published TO viewledger_analyst;
GRANT SELECT ON iceberg_tables, published.versions, published.pointer TO viewledger_analyst;
