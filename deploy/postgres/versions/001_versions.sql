-- Published versions: the one pointer through which every reader that handles money reads.

CREATE SCHEMA published;

CREATE TABLE published.versions (
    version        bigint PRIMARY KEY CHECK (version > 0),
    run_id         text NOT NULL UNIQUE,
    offsets        jsonb NOT NULL,          -- {"topic": "video-views", "ends": [offset_end of partition 0, …]}
    watermarks     jsonb NOT NULL,          -- one ISO 8601 instant per partition
    snapshots      jsonb NOT NULL,          -- table name -> Iceberg snapshot id
    row_counts     jsonb NOT NULL,          -- table name -> rows
    content_hashes jsonb NOT NULL,          -- table name -> order-free hash of its rows
    day_rules      jsonb NOT NULL,          -- event day -> {"policy_version": 1, "catalogue_version": 1}
    published_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE published.versions IS 'Immutable manifest of every published batch result.';

CREATE TABLE published.pointer (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL REFERENCES published.versions (version)
);
COMMENT ON TABLE published.pointer IS 'Names the current version; absent before the first publication.';

-- A video has a row for each version that changed its counts; the row in force at version V is the newest <= V.
CREATE TABLE published.video_counts (
    video_id       text NOT NULL,
    version        bigint NOT NULL REFERENCES published.versions (version),
    views          bigint NOT NULL CHECK (views >= 0),
    billable_views bigint NOT NULL CHECK (billable_views BETWEEN 0 AND views),
    PRIMARY KEY (video_id, version)
);

CREATE FUNCTION published.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME;
END $$;

CREATE TRIGGER versions_append_only BEFORE UPDATE OR DELETE ON published.versions
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER video_counts_append_only BEFORE UPDATE OR DELETE ON published.video_counts
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();

CREATE FUNCTION published.refuse_older() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'version % does not follow the current version %', NEW.version, OLD.version;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER pointer_moves_forward BEFORE UPDATE ON published.pointer
    FOR EACH ROW EXECUTE FUNCTION published.refuse_older();

CREATE TABLE published.runs (
    run_id     text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('incremental', 'rebuild')),
    state      text NOT NULL CHECK (state IN ('running', 'published', 'gate_failed', 'failed', 'nothing_new')),
    version    bigint REFERENCES published.versions (version),
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    detail     jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE published.runs IS 'Journal of batch runs; a run that crashed stays in state running.';

-- What each version added to the raw events, file by file, so that the archive can be compared with it for ever.
CREATE TABLE published.archived_files (
    path        text PRIMARY KEY,           -- without the file system's scheme and host
    version     bigint NOT NULL REFERENCES published.versions (version),
    byte_count  bigint NOT NULL CHECK (byte_count > 0),
    modified_at timestamptz NOT NULL        -- as the file system says
);
CREATE INDEX archived_files_by_version ON published.archived_files (version);

-- The hash is additive: summed over files and hours it says what the raw events of a version hold.
CREATE TABLE published.archived_hours (
    path          text NOT NULL REFERENCES published.archived_files (path),
    partition     integer NOT NULL CHECK (partition >= 0),
    received_hour timestamptz NOT NULL,     -- UTC hour of the broker's append time
    row_count     bigint NOT NULL CHECK (row_count > 0),
    content_hash  text NOT NULL CHECK (content_hash ~ '^[0-9a-f]{32}$'),
    PRIMARY KEY (path, partition, received_hour)
);
COMMENT ON TABLE published.archived_hours IS 'Rows and order-free hash of each file of the raw events, by partition and hour.';

CREATE TABLE published.reconciliations (
    reconciliation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version       bigint NOT NULL REFERENCES published.versions (version),
    kind          text NOT NULL CHECK (kind IN ('run', 'command')),    -- what a batch run checks, or everything
    received_day  date,                     -- what was received on this UTC day; null: whenever
    differences   jsonb NOT NULL,           -- sentences, nearest to the cause first; empty when all agrees
    reconciled_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE published.reconciliations IS 'Every comparison of archive, tables, served counts and ledger.';

-- A difference stays open until the command finds none: in all days, or in the day in which it was found.
CREATE VIEW published.open_differences AS
SELECT failed.* FROM published.reconciliations AS failed
WHERE failed.differences <> '[]' AND NOT EXISTS (
    SELECT 1 FROM published.reconciliations AS passed
    WHERE passed.reconciliation_id > failed.reconciliation_id
      AND passed.kind = 'command' AND passed.differences = '[]'
      AND (passed.received_day IS NULL OR passed.received_day = failed.received_day));

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['archived_files', 'archived_hours', 'reconciliations'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON published.%I
                        FOR EACH ROW EXECUTE FUNCTION published.refuse_change()', name || '_append_only', name);
    END LOOP;
END $$;
