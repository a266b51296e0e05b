-- Nothing that a client makes is ever found by a function of ours: each looks for names in pg_catalog, then in its own
-- schema, then (last) among temporary objects. Nobody may call a function, or make temporary objects, who has no need to.
-- A function that a later migration makes or replaces has to say `SET search_path` itself; a test goes through all of them.

DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT p.oid::regprocedure AS name, n.nspname AS home FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname IN ('access', 'billing', 'ingestion', 'published', 'reporting') LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', each.name, each.home);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', each.name);
    END LOOP;
    EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- what is made from now on: a function that a role calls (or that a trigger of its calls) has to be granted to it
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE viewledger_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What writers call: the ledger's lock, also from triggers; what the journal holds by now; the books as they stood.
GRANT EXECUTE ON FUNCTION billing.lock_ledger() TO viewledger_billing, viewledger_approver;
GRANT EXECUTE ON FUNCTION billing.close_journal() TO viewledger_billing;
GRANT EXECUTE ON FUNCTION billing.balances(timestamptz, timestamptz)
    TO viewledger_billing, viewledger_approver, viewledger_auditor;

-- The journal's own: what it executes is an expression of a migration, read with the names of this path alone.
CREATE OR REPLACE FUNCTION billing.note_in_journal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('viewledger.billing.journal'));
    EXECUTE format('INSERT INTO billing.journal (kind, key) SELECT %L, %s FROM arrived ORDER BY 2',
                   TG_ARGV[0], TG_ARGV[1]);   -- an expression of this migration, never of a client
    RETURN NULL;
END $$;
