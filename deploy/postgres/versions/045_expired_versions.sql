-- Versions that are no longer kept. Their manifests stay; what each held in these tables is added to the next version that is
-- kept, so that every kept version answers as before.

CREATE TABLE published.expired_versions (
    version    bigint PRIMARY KEY REFERENCES published.versions (version),
    run_id     text NOT NULL REFERENCES published.runs (run_id),
    expired_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE published.expired_versions IS
    'Append-only: each version that can no longer be read, when it expired, and by which maintenance.';

CREATE TABLE published.rolled_up_versions (
    version      bigint PRIMARY KEY REFERENCES published.expired_versions (version),
    rolled_up_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE published.rolled_up_versions IS
    'Append-only: each expired version whose counts and day changes were joined with those of its neighbours.';

ALTER TABLE published.runs DROP CONSTRAINT runs_kind_check,
    ADD CONSTRAINT runs_kind_check CHECK (kind IN ('incremental', 'rebuild', 'maintenance')),
    DROP CONSTRAINT runs_state_check,
    ADD CONSTRAINT runs_state_check CHECK (state IN ('running', 'published', 'gate_failed', 'failed', 'nothing_new', 'done'));
COMMENT ON COLUMN reporting.batch_runs.kind IS 'incremental, rebuild or maintenance';
COMMENT ON COLUMN reporting.batch_runs.state IS 'running, published, gate_failed, failed, nothing_new or done';

-- The rule. Kept are: the current version; all of the last 35 days; the last of each day (UTC) for 400 days; what a billing run,
-- and so each of its statements, or an estimate was calculated from; and what a comparison that is still open is about.
CREATE VIEW published.expirable_versions AS
WITH listed AS (
    SELECT v.version, v.published_at,
           lead((v.published_at AT TIME ZONE 'UTC')::date) OVER (ORDER BY v.version)
               IS DISTINCT FROM (v.published_at AT TIME ZONE 'UTC')::date AS is_last_of_day
    FROM published.versions v JOIN published.pointer p ON v.version <= p.version
)
SELECT version, published_at FROM listed
WHERE version < (SELECT version FROM published.pointer)
  AND published_at < now() - interval '35 days'
  AND NOT (is_last_of_day AND published_at >= now() - interval '400 days')
  AND version NOT IN (SELECT version FROM published.expired_versions)
  AND version NOT IN (SELECT batch_version FROM billing.runs)
  AND version NOT IN (SELECT batch_version FROM billing.estimates)
  AND version NOT IN (SELECT version FROM published.open_differences);
COMMENT ON VIEW published.expirable_versions IS 'The versions that the next maintenance expires.';

CREATE FUNCTION published.expire_versions(of_run text) RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, published, pg_temp AS $$
    INSERT INTO published.expired_versions (version, run_id) SELECT version, of_run FROM published.expirable_versions
    ORDER BY version RETURNING version
$$;

-- Joins the rows of the expired versions before the first kept version that has any to join, and returns that version; null when
-- nothing is left to do. A kept version's own rows are never touched: what lies between it and the kept version before it needs
-- at most one row for each video, and for each video and day.
CREATE FUNCTION published.roll_up_next(expired_before timestamptz) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE
    first_version bigint;
    kept_version bigint;
    gone bigint[];
BEGIN
    SELECT min(e.version) INTO first_version FROM published.expired_versions e
    WHERE e.expired_at < expired_before AND NOT EXISTS (
        SELECT FROM published.rolled_up_versions r WHERE r.version = e.version);
    IF first_version IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT min(v.version) INTO kept_version FROM published.versions v
    WHERE v.version > first_version AND NOT EXISTS (
        SELECT FROM published.expired_versions e WHERE e.version = v.version AND e.expired_at < expired_before);
    SELECT array_agg(e.version) INTO gone FROM published.expired_versions e
    WHERE e.expired_at < expired_before AND e.version < kept_version AND e.version > (
        SELECT coalesce(max(v.version), 0) FROM published.versions v
        WHERE v.version < first_version AND NOT EXISTS (
            SELECT FROM published.expired_versions o WHERE o.version = v.version AND o.expired_at < expired_before));

    DELETE FROM published.video_counts c WHERE c.version = ANY (gone) AND EXISTS (
        SELECT FROM published.video_counts n
        WHERE n.video_id = c.video_id AND n.version > c.version AND n.version <= kept_version);

    WITH repeated AS (
        SELECT video_id, event_day, max(version) AS newest FROM published.video_day_changes
        WHERE version = ANY (gone) GROUP BY video_id, event_day HAVING count(*) > 1
    ), taken AS (
        DELETE FROM published.video_day_changes d USING repeated r
        WHERE d.video_id = r.video_id AND d.event_day = r.event_day AND d.version = ANY (gone)
        RETURNING d.*, r.newest
    ), cells AS (
        SELECT t.video_id, t.event_day, t.newest, c.quarter, c.country, c.device, sum(c.views)::bigint AS views,
               sum(c.billable)::bigint AS billable
        FROM taken t CROSS JOIN LATERAL unnest(t.quarters, t.countries, t.devices, t.cell_views, t.cell_billable)
            AS c (quarter, country, device, views, billable)
        GROUP BY t.video_id, t.event_day, t.newest, c.quarter, c.country, c.device
    )
    INSERT INTO published.video_day_changes (video_id, event_day, version, views_change, billable_change, quarters, countries,
                                             devices, cell_views, cell_billable)
    SELECT video_id, event_day, newest, sum(views)::bigint, sum(billable)::bigint,
           array_agg(quarter ORDER BY quarter, country, device), array_agg(country ORDER BY quarter, country, device),
           array_agg(device ORDER BY quarter, country, device), array_agg(views ORDER BY quarter, country, device),
           array_agg(billable ORDER BY quarter, country, device)
    FROM cells GROUP BY video_id, event_day, newest;

    INSERT INTO published.rolled_up_versions (version)
    SELECT each FROM unnest(gone) AS each ORDER BY each ON CONFLICT DO NOTHING;
    RETURN kept_version;
END $$;

-- Rows of these two tables are removed by that function alone, and only those of expired versions.
CREATE FUNCTION published.refuse_change_of_kept() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'viewledger_owner'
       AND EXISTS (SELECT FROM published.expired_versions WHERE version = OLD.version) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '%.% is append-only: rows are never changed, and removed by `maintain` alone',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'VL005';
END $$;
DROP TRIGGER video_counts_append_only ON published.video_counts;
CREATE TRIGGER video_counts_append_only BEFORE UPDATE OR DELETE ON published.video_counts
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change_of_kept();
DROP TRIGGER video_day_changes_append_only ON published.video_day_changes;
CREATE TRIGGER video_day_changes_append_only BEFORE UPDATE OR DELETE ON published.video_day_changes
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change_of_kept();
-- tiny, and enough: rows arrive in the order of their versions
CREATE INDEX video_counts_by_version ON published.video_counts USING brin (version) WITH (pages_per_range = 8, autosummarize = on);
CREATE INDEX video_day_changes_by_version ON published.video_day_changes USING brin (version)
    WITH (pages_per_range = 8, autosummarize = on);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['expired_versions', 'rolled_up_versions'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON published.%I
                        FOR EACH ROW EXECUTE FUNCTION published.refuse_change()', name || '_append_only', name);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON published.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change()', name || '_no_truncate', name);
        EXECUTE format('ALTER TABLE published.%I ADD CONSTRAINT %I
                        CHECK (%I BETWEEN ''0001-01-02 00:00+00'' AND ''9999-12-30 00:00+00'')', name,
                       name || '_readable', CASE name WHEN 'expired_versions' THEN 'expired_at' ELSE 'rolled_up_at' END);
    END LOOP;
END $$;
CREATE TRIGGER noted_in_journal AFTER INSERT ON published.expired_versions REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('expired_version', 'version::text');

GRANT SELECT ON published.pointer, published.runs, published.open_differences, published.expirable_versions,
    published.expired_versions, published.rolled_up_versions, published.video_counts, published.video_day_changes TO viewledger_owner;
GRANT INSERT (version, run_id) ON published.expired_versions TO viewledger_owner;
GRANT INSERT (version) ON published.rolled_up_versions TO viewledger_owner;
GRANT DELETE ON published.video_counts TO viewledger_owner;
GRANT INSERT, DELETE ON published.video_day_changes TO viewledger_owner;
GRANT CREATE ON SCHEMA published TO viewledger_owner;
ALTER FUNCTION published.expire_versions(text) OWNER TO viewledger_owner;
ALTER FUNCTION published.roll_up_next(timestamptz) OWNER TO viewledger_owner;
REVOKE CREATE ON SCHEMA published FROM viewledger_owner;
REVOKE EXECUTE ON FUNCTION published.expire_versions(text), published.roll_up_next(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION published.expire_versions(text), published.roll_up_next(timestamptz) TO viewledger_pipeline;
GRANT SELECT ON published.expirable_versions, published.rolled_up_versions TO viewledger_pipeline, viewledger_auditor;
GRANT SELECT ON published.expired_versions TO viewledger_pipeline, viewledger_auditor, viewledger_billing, viewledger_approver,
    viewledger_api, viewledger_analyst;

CREATE OR REPLACE VIEW reporting.versions AS
    SELECT v.version, v.run_id, v.published_at,
           (SELECT min(value::timestamptz) FROM jsonb_array_elements_text(v.watermarks)) AS settled_until,
           (v.row_counts ->> 'events')::bigint AS event_count,
           (v.row_counts ->> 'views_by_video')::bigint AS video_count,
           v.version = (SELECT pointer.version FROM published.pointer) AS is_current,
           e.expired_at
    FROM published.versions v LEFT JOIN published.expired_versions e ON e.version = v.version
    WHERE v.version <= (SELECT pointer.version FROM published.pointer);
COMMENT ON COLUMN reporting.versions.expired_at IS 'When it expired: it can no longer be read; null while it is kept';
