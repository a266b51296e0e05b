-- The role in which the API imports a catalogue: it adds versions of the catalogue and can touch nothing else, no rates
-- and no money. A login that must not import is not made a member of it.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'viewledger_importer') THEN
        BEGIN
            CREATE ROLE viewledger_importer NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'viewledger_importer', 'MEMBER') THEN
        BEGIN
            EXECUTE format('GRANT viewledger_importer TO %I', current_user);
        EXCEPTION WHEN unique_violation THEN NULL;
        END;
    END IF;
END $$;

GRANT USAGE ON SCHEMA billing TO viewledger_importer;
GRANT SELECT ON billing.catalogue_versions, billing.answered_requests TO viewledger_importer;
GRANT INSERT ON billing.catalogue_versions, billing.payees, billing.videos, billing.owners, billing.answered_requests
    TO viewledger_importer;
