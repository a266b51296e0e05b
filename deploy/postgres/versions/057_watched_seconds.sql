-- Seconds watched, beside the views that they belong to. Versions published before have none: null, which is not zero. The first
-- version after them has the whole sum of every video and day (`batch upgrade`), so that the state at a version is the sum of the
-- changes up to it, as for views; it is null where none of these has any.

ALTER TABLE published.video_counts ADD COLUMN watched_seconds bigint CHECK (watched_seconds >= 0);
ALTER TABLE published.video_day_changes
    ADD COLUMN seconds_change bigint,             -- of the whole day: the sum of cell_seconds
    ADD COLUMN cell_seconds   bigint[],
    ADD CONSTRAINT video_day_changes_seconds_by_cell CHECK (
        (seconds_change IS NULL) = (cell_seconds IS NULL) AND cardinality(cell_seconds) = cardinality(quarters));
-- what a crashed run of the earlier release left, which the next run would remove
TRUNCATE staging.video_counts, staging.video_day_changes;
ALTER TABLE staging.video_counts ADD COLUMN watched_seconds bigint NOT NULL;
ALTER TABLE staging.video_day_changes ADD COLUMN seconds_change bigint NOT NULL, ADD COLUMN cell_seconds bigint[] NOT NULL;

-- As before, with the seconds: what is joined has them as soon as one of its versions has.
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

    INSERT INTO published.rolled_up_versions (version)
    SELECT each FROM unnest(gone) AS each ORDER BY each ON CONFLICT DO NOTHING;
    RETURN kept_version;
END $$;

CREATE OR REPLACE VIEW reporting.video_counts AS
    SELECT DISTINCT ON (video_id) video_id, views, billable_views, version AS changed_in_version, watched_seconds,
           round(watched_seconds::numeric / nullif(views, 0), 3) AS average_view_duration
    FROM published.video_counts
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    ORDER BY video_id, version DESC;
COMMENT ON COLUMN reporting.video_counts.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';
COMMENT ON COLUMN reporting.video_counts.average_view_duration IS 'watched_seconds divided by views; null without views';

CREATE OR REPLACE VIEW reporting.video_days AS
    SELECT video_id, event_day, sum(views_change)::bigint AS views, sum(billable_change)::bigint AS billable_views,
           max(version) AS changed_in_version, sum(seconds_change)::bigint AS watched_seconds,
           round(sum(seconds_change) / nullif(sum(views_change), 0), 3) AS average_view_duration
    FROM published.video_day_changes
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    GROUP BY video_id, event_day;
COMMENT ON COLUMN reporting.video_days.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';
COMMENT ON COLUMN reporting.video_days.average_view_duration IS 'watched_seconds divided by views; null without views';
