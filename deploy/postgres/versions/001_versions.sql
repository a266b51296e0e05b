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
