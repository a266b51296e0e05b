-- How many events of a video and day each version called invalid traffic, by class, and some of their ids. Every version so far
-- has none: the rules are younger than the newest release. The state at version V is the sum of the changes up to V.

CREATE TABLE published.invalid_changes (
    video_id         text NOT NULL,
    event_day        date NOT NULL,              -- UTC
    invalid_class    text NOT NULL CHECK (invalid_class IN ('robot', 'contradiction', 'impossible', 'coordinated', 'unnatural',
                                                            'origin')),
    version          bigint NOT NULL REFERENCES published.versions (version),
    events_change    bigint NOT NULL,
    sample_event_ids jsonb NOT NULL CHECK (jsonb_typeof(sample_event_ids) = 'array' AND jsonb_array_length(sample_event_ids) <= 3),
    PRIMARY KEY (video_id, event_day, invalid_class, version),
    CONSTRAINT invalid_changes_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31')
);
COMMENT ON TABLE published.invalid_changes IS
    'Append-only: what each version changed in the invalid traffic of a video by event day (UTC) and class, with ids of some events.';
CREATE INDEX invalid_changes_by_version ON published.invalid_changes USING brin (version)
    WITH (pages_per_range = 8, autosummarize = on);
CREATE TRIGGER invalid_changes_append_only BEFORE UPDATE OR DELETE ON published.invalid_changes
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change_of_kept();
CREATE TRIGGER invalid_changes_no_truncate BEFORE TRUNCATE ON published.invalid_changes
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();

CREATE UNLOGGED TABLE staging.invalid_changes (
    run_id           text NOT NULL,
    piece            integer NOT NULL,
    video_id         text NOT NULL,
    event_day        date NOT NULL,
    invalid_class    text NOT NULL,
    events_change    bigint NOT NULL,
    sample_event_ids jsonb NOT NULL,
    PRIMARY KEY (run_id, piece, video_id, event_day, invalid_class)
);
COMMENT ON TABLE staging.invalid_changes IS 'As published.invalid_changes, of one run.';

-- As before, and: the same for invalid traffic. Of the ids the newest ones stay.
CREATE OR REPLACE FUNCTION published.roll_up_next(expired_before timestamptz) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
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

    WITH repeated AS (
        SELECT video_id, event_day, invalid_class, max(version) AS newest FROM published.invalid_changes
        WHERE version = ANY (gone) GROUP BY video_id, event_day, invalid_class HAVING count(*) > 1
    ), taken AS (
        DELETE FROM published.invalid_changes i USING repeated r
        WHERE i.video_id = r.video_id AND i.event_day = r.event_day AND i.invalid_class = r.invalid_class
          AND i.version = ANY (gone)
        RETURNING i.*, r.newest
    )
    INSERT INTO published.invalid_changes (video_id, event_day, invalid_class, version, events_change, sample_event_ids)
    SELECT video_id, event_day, invalid_class, newest, sum(events_change)::bigint,
           coalesce((array_agg(sample_event_ids ORDER BY version DESC)
                     FILTER (WHERE jsonb_array_length(sample_event_ids) > 0))[1], '[]')
    FROM taken GROUP BY video_id, event_day, invalid_class, newest;

    INSERT INTO published.rolled_up_versions (version)
    SELECT each FROM unnest(gone) AS each ORDER BY each ON CONFLICT DO NOTHING;
    RETURN kept_version;
END $$;

GRANT SELECT, INSERT, DELETE, TRUNCATE ON staging.invalid_changes TO viewledger_pipeline;
GRANT SELECT, INSERT ON published.invalid_changes TO viewledger_pipeline;
GRANT SELECT, INSERT, DELETE ON published.invalid_changes TO viewledger_owner;
GRANT SELECT ON published.invalid_changes TO viewledger_api, viewledger_auditor, viewledger_billing, viewledger_approver;

CREATE VIEW reporting.invalid_traffic AS
    SELECT video_id, event_day, invalid_class, sum(events_change)::bigint AS events, max(version) AS changed_in_version
    FROM published.invalid_changes
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    GROUP BY video_id, event_day, invalid_class HAVING sum(events_change) <> 0;
COMMENT ON VIEW reporting.invalid_traffic IS 'Events that no viewer made, by video, event day and class, in the current version.';
COMMENT ON COLUMN reporting.invalid_traffic.video_id IS 'The video';
COMMENT ON COLUMN reporting.invalid_traffic.event_day IS 'UTC day of the event; it can change until the day is settled';
COMMENT ON COLUMN reporting.invalid_traffic.invalid_class IS
    'robot, contradiction, impossible, coordinated, unnatural or origin; never the rule';
COMMENT ON COLUMN reporting.invalid_traffic.events IS 'Events, in neither counter';
COMMENT ON COLUMN reporting.invalid_traffic.changed_in_version IS 'The last version that changed the row';
GRANT SELECT ON reporting.invalid_traffic TO viewledger_reporting;
