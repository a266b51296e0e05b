-- Which log the offsets count in. A topic that was deleted and made again is another log under the same name.

CREATE TABLE published.log_generations (
    topic      text NOT NULL CHECK (topic <> ''),
    generation integer NOT NULL CHECK (generation BETWEEN 0 AND 4095),
    log_id     text NOT NULL CHECK (log_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    actor      text NOT NULL CHECK (actor <> ''),
    reason     text NOT NULL CHECK (reason <> ''),
    begun_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, generation)
);
COMMENT ON TABLE published.log_generations IS
    'The id that Kafka gave the topic, by generation; generation g counts its offsets from g * 2^40 on.';

CREATE TRIGGER log_generations_append_only BEFORE UPDATE OR DELETE ON published.log_generations
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();

CREATE TRIGGER log_generations_no_truncate BEFORE TRUNCATE ON published.log_generations
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();

-- The roles of batch runs and of the speed layer belong to the whole server; another migration gives them their other rights.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['viewledger_pipeline', 'viewledger_speed'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
            END;
        END IF;
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA published, billing TO viewledger_pipeline, viewledger_speed;
GRANT SELECT ON published.log_generations TO viewledger_auditor, viewledger_api, viewledger_pipeline, viewledger_speed;
GRANT INSERT ON published.log_generations TO viewledger_pipeline;
GRANT SELECT ON billing.catalogue_versions, billing.videos TO viewledger_speed;
