-- Who came to the viewers of a video and day with each version, and who left them. A viewer is a hash of the pseudonym: personal
-- data, which leaves when the personal columns do. The number stays then: `viewers_change` is kept apart from the lists.

CREATE TABLE published.viewer_changes (
    video_id       text NOT NULL,
    event_day      date NOT NULL,                -- UTC
    version        bigint NOT NULL REFERENCES published.versions (version),
    viewers_change bigint NOT NULL,
    came           uuid[] NOT NULL,              -- those of them who are known still
    went           uuid[] NOT NULL,
    PRIMARY KEY (video_id, event_day, version),
    CONSTRAINT viewer_changes_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31')
);
COMMENT ON TABLE published.viewer_changes IS
    'What each version changed in the viewers of a video by event day (UTC). Append-only, but for viewers who are forgotten.';
CREATE INDEX viewer_changes_by_version ON published.viewer_changes USING brin (version)
    WITH (pages_per_range = 8, autosummarize = on);

CREATE FUNCTION published.refuse_change_of_viewers() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    IF current_user = 'viewledger_owner' THEN
        IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM published.expired_versions WHERE version = OLD.version) THEN
            RETURN OLD;
        END IF;
        IF TG_OP = 'UPDATE' AND (NEW.video_id, NEW.event_day, NEW.version, NEW.viewers_change)
            IS NOT DISTINCT FROM (OLD.video_id, OLD.event_day, OLD.version, OLD.viewers_change)
           AND NEW.came <@ OLD.came AND NEW.went <@ OLD.went THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '%.% is append-only: rows are never changed, and removed by `maintain` alone',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'VL009';
END $$;
CREATE TRIGGER viewer_changes_append_only BEFORE UPDATE OR DELETE ON published.viewer_changes
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change_of_viewers();
CREATE TRIGGER viewer_changes_no_truncate BEFORE TRUNCATE ON published.viewer_changes
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();

CREATE UNLOGGED TABLE staging.viewer_changes (
    run_id         text NOT NULL,
    piece          integer NOT NULL,
    video_id       text NOT NULL,
    event_day      date NOT NULL,
    viewers_change bigint NOT NULL,
    came           uuid[] NOT NULL,
    went           uuid[] NOT NULL,
    PRIMARY KEY (run_id, piece, video_id, event_day)
);
COMMENT ON TABLE staging.viewer_changes IS 'As published.viewer_changes, of one run.';

-- Takes viewers out of the lists: all of the days before one, or one viewer. The transaction of a removal calls it.
CREATE FUNCTION published.forget_viewers(before_on date, of_viewer uuid) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, published, pg_temp AS $$
    UPDATE published.viewer_changes SET came = '{}', went = '{}'
    WHERE event_day < before_on AND (came <> '{}' OR went <> '{}');
    UPDATE published.viewer_changes SET came = array_remove(came, of_viewer), went = array_remove(went, of_viewer)
    WHERE of_viewer = ANY (came) OR of_viewer = ANY (went);
$$;

-- As before, and: the same for viewers.
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
               sum(c.billable)::bigint AS billable, sum(c.seconds)::bigint AS seconds
        FROM taken t CROSS JOIN LATERAL unnest(t.quarters, t.countries, t.devices, t.cell_views, t.cell_billable, t.cell_seconds)
            AS c (quarter, country, device, views, billable, seconds)
        GROUP BY t.video_id, t.event_day, t.newest, c.quarter, c.country, c.device
    )
    INSERT INTO published.video_day_changes (video_id, event_day, version, views_change, billable_change, seconds_change, quarters,
                                             countries, devices, cell_views, cell_billable, cell_seconds)
    SELECT video_id, event_day, newest, sum(views)::bigint, sum(billable)::bigint, sum(seconds)::bigint,
           array_agg(quarter ORDER BY quarter, country, device), array_agg(country ORDER BY quarter, country, device),
           array_agg(device ORDER BY quarter, country, device), array_agg(views ORDER BY quarter, country, device),
           array_agg(billable ORDER BY quarter, country, device),
           CASE WHEN sum(seconds) IS NOT NULL THEN array_agg(coalesce(seconds, 0) ORDER BY quarter, country, device) END
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

    WITH repeated AS (
        SELECT video_id, event_day, max(version) AS newest FROM published.viewer_changes
        WHERE version = ANY (gone) GROUP BY video_id, event_day HAVING count(*) > 1
    ), taken AS (
        DELETE FROM published.viewer_changes c USING repeated r
        WHERE c.video_id = r.video_id AND c.event_day = r.event_day AND c.version = ANY (gone)
        RETURNING c.*, r.newest
    ), viewers AS (
        SELECT t.video_id, t.event_day, u.viewer, sum(u.change) AS change
        FROM taken t CROSS JOIN LATERAL (SELECT unnest(t.came), 1 UNION ALL SELECT unnest(t.went), -1) AS u (viewer, change)
        GROUP BY t.video_id, t.event_day, u.viewer
    ), sides AS (
        SELECT video_id, event_day, array_agg(viewer ORDER BY viewer) FILTER (WHERE change > 0) AS came,
               array_agg(viewer ORDER BY viewer) FILTER (WHERE change < 0) AS went
        FROM viewers GROUP BY video_id, event_day
    ), sums AS (
        SELECT video_id, event_day, newest, sum(viewers_change)::bigint AS viewers_change
        FROM taken GROUP BY video_id, event_day, newest
    )
    INSERT INTO published.viewer_changes (video_id, event_day, version, viewers_change, came, went)
    SELECT s.video_id, s.event_day, s.newest, s.viewers_change, coalesce(v.came, '{}'), coalesce(v.went, '{}')
    FROM sums s LEFT JOIN sides v ON v.video_id = s.video_id AND v.event_day = s.event_day;

    INSERT INTO published.rolled_up_versions (version)
    SELECT each FROM unnest(gone) AS each ORDER BY each ON CONFLICT DO NOTHING;
    RETURN kept_version;
END $$;

GRANT SELECT, INSERT, DELETE, TRUNCATE ON staging.viewer_changes TO viewledger_pipeline;
GRANT INSERT ON published.viewer_changes TO viewledger_pipeline;
GRANT SELECT, INSERT, UPDATE (came, went), DELETE ON published.viewer_changes TO viewledger_owner;
-- who the viewers are, is for the API alone, which counts them over several days
GRANT SELECT ON published.viewer_changes TO viewledger_api;
GRANT SELECT (video_id, event_day, version, viewers_change) ON published.viewer_changes
    TO viewledger_pipeline, viewledger_auditor, viewledger_billing, viewledger_approver;
GRANT CREATE ON SCHEMA published TO viewledger_owner;
ALTER FUNCTION published.forget_viewers(date, uuid) OWNER TO viewledger_owner;
REVOKE CREATE ON SCHEMA published FROM viewledger_owner;
REVOKE EXECUTE ON FUNCTION published.forget_viewers(date, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION published.forget_viewers(date, uuid) TO viewledger_pipeline;

CREATE VIEW reporting.unique_viewers AS
    SELECT video_id, event_day, sum(viewers_change)::bigint AS unique_viewers, max(version) AS changed_in_version
    FROM published.viewer_changes
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    GROUP BY video_id, event_day HAVING sum(viewers_change) <> 0;
COMMENT ON VIEW reporting.unique_viewers IS 'How many different viewers a video had on an event day, in the current version.';
COMMENT ON COLUMN reporting.unique_viewers.video_id IS 'The video';
COMMENT ON COLUMN reporting.unique_viewers.event_day IS 'UTC day of the events';
COMMENT ON COLUMN reporting.unique_viewers.unique_viewers IS
    'Different viewers of the counted events; numbers of several days or videos do not add up, for who comes again is one viewer';
COMMENT ON COLUMN reporting.unique_viewers.changed_in_version IS 'The last version that changed the row';
GRANT SELECT ON reporting.unique_viewers TO viewledger_reporting;
