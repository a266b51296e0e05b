-- How far viewers got, beside the views of each video and day: of how many views the video's length is known, and how many of them
-- lasted 25, 50, 75 and 100 % of it or more. Versions published before have none: null, which is not zero. The first version after
-- them has the whole sum of every video and day (`batch upgrade`). A catalogue that tells a length changes them alone, so a change of
-- a day may have no cell.

ALTER TABLE published.video_day_changes
    ADD COLUMN length_known_change bigint,
    ADD COLUMN reached_25_change   bigint,
    ADD COLUMN reached_50_change   bigint,
    ADD COLUMN reached_75_change   bigint,
    ADD COLUMN reached_100_change  bigint,
    ADD CONSTRAINT video_day_changes_completion_whole CHECK (
        num_nulls(length_known_change, reached_25_change, reached_50_change, reached_75_change, reached_100_change) IN (0, 5)),
    DROP CONSTRAINT video_day_changes_check,
    ADD CONSTRAINT video_day_changes_cells_whole CHECK (
        cardinality(countries) = cardinality(quarters) AND cardinality(devices) = cardinality(quarters)
        AND cardinality(cell_views) = cardinality(quarters) AND cardinality(cell_billable) = cardinality(quarters));
-- what a crashed run of the earlier release left, which the next run would remove
TRUNCATE staging.video_day_changes;
ALTER TABLE staging.video_day_changes
    ADD COLUMN length_known_change bigint NOT NULL,
    ADD COLUMN reached_25_change   bigint NOT NULL,
    ADD COLUMN reached_50_change   bigint NOT NULL,
    ADD COLUMN reached_75_change   bigint NOT NULL,
    ADD COLUMN reached_100_change  bigint NOT NULL;

-- As before, with the completion; the sums of a day are no longer those of its cells alone.
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
        SELECT t.video_id, t.event_day, c.quarter, c.country, c.device, sum(c.views)::bigint AS views,
               sum(c.billable)::bigint AS billable, sum(c.seconds)::bigint AS seconds
        FROM taken t CROSS JOIN LATERAL unnest(t.quarters, t.countries, t.devices, t.cell_views, t.cell_billable, t.cell_seconds)
            AS c (quarter, country, device, views, billable, seconds)
        GROUP BY t.video_id, t.event_day, c.quarter, c.country, c.device
    ), lists AS (
        SELECT video_id, event_day, array_agg(quarter ORDER BY quarter, country, device) AS quarters,
               array_agg(country ORDER BY quarter, country, device) AS countries,
               array_agg(device ORDER BY quarter, country, device) AS devices,
               array_agg(views ORDER BY quarter, country, device) AS cell_views,
               array_agg(billable ORDER BY quarter, country, device) AS cell_billable,
               array_agg(coalesce(seconds, 0) ORDER BY quarter, country, device) AS cell_seconds
        FROM cells GROUP BY video_id, event_day
    ), days AS (
        SELECT video_id, event_day, newest, sum(views_change)::bigint AS views, sum(billable_change)::bigint AS billable,
               sum(seconds_change)::bigint AS seconds, sum(length_known_change)::bigint AS length_known,
               sum(reached_25_change)::bigint AS reached_25, sum(reached_50_change)::bigint AS reached_50,
               sum(reached_75_change)::bigint AS reached_75, sum(reached_100_change)::bigint AS reached_100
        FROM taken GROUP BY video_id, event_day, newest
    )
    INSERT INTO published.video_day_changes (video_id, event_day, version, views_change, billable_change, seconds_change, quarters,
                                             countries, devices, cell_views, cell_billable, cell_seconds, length_known_change,
                                             reached_25_change, reached_50_change, reached_75_change, reached_100_change)
    SELECT d.video_id, d.event_day, d.newest, d.views, d.billable, d.seconds, coalesce(l.quarters, '{}'), coalesce(l.countries, '{}'),
           coalesce(l.devices, '{}'), coalesce(l.cell_views, '{}'), coalesce(l.cell_billable, '{}'),
           CASE WHEN d.seconds IS NOT NULL THEN coalesce(l.cell_seconds, '{}') END, d.length_known, d.reached_25, d.reached_50,
           d.reached_75, d.reached_100
    FROM days d LEFT JOIN lists l ON l.video_id = d.video_id AND l.event_day = d.event_day;

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

CREATE OR REPLACE VIEW reporting.video_days AS
    SELECT video_id, event_day, sum(views_change)::bigint AS views, sum(billable_change)::bigint AS billable_views,
           max(version) AS changed_in_version, sum(seconds_change)::bigint AS watched_seconds,
           round(sum(seconds_change) / nullif(sum(views_change), 0), 3) AS average_view_duration,
           sum(length_known_change)::bigint AS length_known_views, sum(reached_25_change)::bigint AS reached_25,
           sum(reached_50_change)::bigint AS reached_50, sum(reached_75_change)::bigint AS reached_75,
           sum(reached_100_change)::bigint AS reached_100
    FROM published.video_day_changes
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    GROUP BY video_id, event_day;
COMMENT ON COLUMN reporting.video_days.length_known_views IS
    'Counted events of which it is known how much of the video they lasted; null until a version of a release that sums them';
COMMENT ON COLUMN reporting.video_days.reached_25 IS 'Counted events that lasted 25 % of the video''s length or more';
COMMENT ON COLUMN reporting.video_days.reached_50 IS 'Counted events that lasted 50 % of the video''s length or more';
COMMENT ON COLUMN reporting.video_days.reached_75 IS 'Counted events that lasted 75 % of the video''s length or more';
COMMENT ON COLUMN reporting.video_days.reached_100 IS 'Counted events that lasted 100 % of the video''s length or more';
