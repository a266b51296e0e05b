-- A role for each process and person that had none, so that no login needs more than its own work; and API keys, which decide
-- who reads what, in the journal.

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['viewledger_pipeline', 'viewledger_speed', 'viewledger_keys'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
            END;
        END IF;
    END LOOP;
END $$;

-- Batch runs: they publish versions, keep Iceberg's catalogue, and read what billing decided and posted.
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (   -- as Iceberg makes it, word for word
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255),
    property_value VARCHAR(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON iceberg_tables, iceberg_namespace_properties TO viewledger_pipeline;
GRANT SELECT ON iceberg_tables, iceberg_namespace_properties TO viewledger_billing, viewledger_auditor;
GRANT SELECT ON iceberg_namespace_properties TO viewledger_analyst;
GRANT USAGE ON SCHEMA published, billing TO viewledger_pipeline;
GRANT SELECT ON ALL TABLES IN SCHEMA published TO viewledger_pipeline;
GRANT INSERT ON published.versions, published.pointer, published.video_counts, published.video_day_changes, published.runs,
    published.archived_files, published.archived_hours TO viewledger_pipeline;
GRANT INSERT (version, kind, received_day, differences) ON published.reconciliations TO viewledger_pipeline;
GRANT UPDATE (version) ON published.pointer TO viewledger_pipeline;
GRANT UPDATE (state, version, ended_at, detail) ON published.runs TO viewledger_pipeline;
GRANT SELECT ON billing.catalogue_versions, billing.payees, billing.videos, billing.owners, billing.rate_cards, billing.runs,
    billing.statements, billing.payment_audit, billing.transitions, billing.current_states, billing.transactions,
    billing.entries TO viewledger_pipeline;

-- The speed layer: which version is published.
GRANT USAGE ON SCHEMA published TO viewledger_speed;
GRANT SELECT ON published.versions, published.pointer TO viewledger_speed;

-- Who makes and revokes API keys.
ALTER TABLE access.api_keys ADD COLUMN login text;
COMMENT ON COLUMN access.api_keys.login IS
    'The login of PostgreSQL that made the key, stamped by the database; null: before logins were stamped.';
CREATE TRIGGER stamped_login BEFORE INSERT ON access.api_keys FOR EACH ROW EXECUTE FUNCTION billing.stamp_login();
GRANT USAGE ON SCHEMA access TO viewledger_keys, viewledger_billing, viewledger_auditor;
GRANT SELECT ON access.api_keys TO viewledger_keys;
GRANT INSERT (key_id, owner, secret_sha256, scopes, payee_id, created_at, expires_at) ON access.api_keys TO viewledger_keys;
GRANT UPDATE (revoked_at) ON access.api_keys TO viewledger_keys;

-- A key is revoked once, and from now on: neither from a day to come nor back to null.
CREATE OR REPLACE FUNCTION access.refuse_change_of_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, access, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
       OR (to_jsonb(NEW) - 'revoked_at') <> (to_jsonb(OLD) - 'revoked_at') THEN
        RAISE EXCEPTION 'API key % can only be revoked, and only once', OLD.key_id;
    END IF;
    NEW.revoked_at := least(NEW.revoked_at, clock_timestamp());
    RETURN NEW;
END $$;

-- The journal notes each key when it is made and when it is revoked: two records, neither of which ever changes.
CREATE VIEW access.made_keys AS
    SELECT key_id, owner, encode(sha256(secret_sha256::bytea), 'hex') AS secret_digest, scopes, payee_id, created_at,
           expires_at, login
    FROM access.api_keys;
COMMENT ON VIEW access.made_keys IS 'Each key as it was made; the secret''s hash hashed once more.';
CREATE VIEW access.revoked_keys AS SELECT key_id, revoked_at FROM access.api_keys WHERE revoked_at IS NOT NULL;
COMMENT ON VIEW access.revoked_keys IS 'Each key that is worthless, and since when.';
GRANT SELECT ON access.made_keys, access.revoked_keys TO viewledger_billing, viewledger_auditor;

CREATE TRIGGER noted_in_journal AFTER INSERT ON access.api_keys REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('api_key', 'key_id');
CREATE TRIGGER revocation_noted_in_journal AFTER UPDATE ON access.api_keys REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('revoked_api_key', 'key_id');
CREATE TRIGGER api_keys_no_truncate BEFORE TRUNCATE ON access.api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();
DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.journal'));
    -- what is there already is noted now, as it stands: nothing vouches for it from before this day
    INSERT INTO billing.journal (kind, key) SELECT 'api_key', key_id FROM access.api_keys ORDER BY 2;
    INSERT INTO billing.journal (kind, key) SELECT 'revoked_api_key', key_id FROM access.revoked_keys ORDER BY 2;
END $$;

-- How far the schema is: what `billing verify` compares the database's rules with.
GRANT SELECT ON alembic_version TO viewledger_billing, viewledger_auditor, viewledger_approver;

-- Append-only tables are not emptied either.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['versions', 'video_counts', 'video_day_changes', 'archived_files', 'archived_hours',
                                'reconciliations'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON published.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change()', name || '_no_truncate', name);
    END LOOP;
END $$;
CREATE TRIGGER replays_no_truncate BEFORE TRUNCATE ON ingestion.replays
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();
