-- What sending a dead letter again needs, so that the API's login can do without anything more.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'viewledger_operator') THEN
        BEGIN
            CREATE ROLE viewledger_operator NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
        END;
    END IF;
END $$;

GRANT USAGE ON SCHEMA ingestion TO viewledger_operator;
GRANT SELECT, INSERT ON ingestion.replays TO viewledger_operator;
