-- Two months of all videos have a row in published.day_totals for each day, country and device: 73,200 of 240 countries and 5 devices.
-- The data page added them up for each of three answers. It reads sums by day, by day and country, and by day and device instead; of
-- a country and a device it reads the rows in question alone, by two indexes.

CREATE INDEX day_totals_by_country ON published.day_totals (payee_id, country, event_day);
CREATE INDEX day_totals_by_device ON published.day_totals (payee_id, device, event_day);

CREATE TABLE published.day_sums (
    payee_id        text NOT NULL,
    split_by        text NOT NULL CHECK (split_by IN ('day', 'country', 'device')),
    event_day       date NOT NULL,               -- UTC
    country         text NOT NULL,
    device          text NOT NULL,
    views           bigint NOT NULL,
    billable_views  bigint NOT NULL,
    watched_seconds bigint,
    PRIMARY KEY (payee_id, split_by, event_day, country, device)
);
COMMENT ON TABLE published.day_sums IS 'Sums of published.day_totals by day, by day and country, and by day and device.';
COMMENT ON COLUMN published.day_sums.split_by IS 'day: of all countries and devices; country: of all devices; device: of all countries.';
COMMENT ON COLUMN published.day_sums.country IS 'Empty unless split by country; as in published.day_totals.';
COMMENT ON COLUMN published.day_sums.device IS 'Empty unless split by device; as in published.day_totals.';
COMMENT ON COLUMN published.day_sums.watched_seconds IS 'Null until a version of a release that sums them.';

GRANT CREATE ON SCHEMA published TO viewledger_owner;
ALTER TABLE published.day_sums OWNER TO viewledger_owner;

-- As before, with the sums of days: all come from one reading of the changes.
CREATE OR REPLACE FUNCTION published.roll_up_days(after_version bigint, until_version bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    WITH cells AS MATERIALIZED (
        SELECT CASE WHEN GROUPING(c.payee_id) = 1 THEN '' ELSE c.payee_id END AS payee_id, c.event_day, x.country, x.device,
               sum(x.views)::bigint AS views, sum(x.billable)::bigint AS billable, sum(x.seconds)::bigint AS seconds
        FROM published.owned_changes c
        CROSS JOIN LATERAL unnest(c.countries, c.devices, c.cell_views, c.cell_billable, c.cell_seconds)
            AS x (country, device, views, billable, seconds)
        WHERE c.version > after_version AND c.version <= until_version
        GROUP BY GROUPING SETS ((c.payee_id, c.event_day, x.country, x.device), (c.event_day, x.country, x.device))
        HAVING GROUPING(c.payee_id) = 1 OR c.payee_id IS NOT NULL
    ), totals AS (
        INSERT INTO published.day_totals AS t (payee_id, event_day, country, device, views, billable_views, watched_seconds)
        SELECT payee_id, event_day, country, device, views, billable, seconds FROM cells
        ON CONFLICT (payee_id, event_day, country, device) DO UPDATE
        SET views = t.views + excluded.views, billable_views = t.billable_views + excluded.billable_views,
            watched_seconds = coalesce(t.watched_seconds + excluded.watched_seconds, t.watched_seconds, excluded.watched_seconds)
    )
    INSERT INTO published.day_sums AS t (payee_id, split_by, event_day, country, device, views, billable_views, watched_seconds)
    SELECT payee_id, CASE WHEN GROUPING(country) = 0 THEN 'country' WHEN GROUPING(device) = 0 THEN 'device' ELSE 'day' END, event_day,
           CASE GROUPING(country) WHEN 0 THEN country ELSE '' END, CASE GROUPING(device) WHEN 0 THEN device ELSE '' END,
           sum(views)::bigint, sum(billable)::bigint, sum(seconds)::bigint
    FROM cells
    GROUP BY GROUPING SETS ((payee_id, event_day), (payee_id, event_day, country), (payee_id, event_day, device))
    ON CONFLICT (payee_id, split_by, event_day, country, device) DO UPDATE
    SET views = t.views + excluded.views, billable_views = t.billable_views + excluded.billable_views,
        watched_seconds = coalesce(t.watched_seconds + excluded.watched_seconds, t.watched_seconds, excluded.watched_seconds);

    INSERT INTO published.span_totals AS t (span, start_on, kind, subject_id, views, billable_views, watched_seconds, rise)
    SELECT c.span, c.start_on, c.kind, c.subject_id, c.views, c.billable, c.seconds, c.views - coalesce(b.views, 0)
    FROM (SELECT span, start_on, before_on, kind, subject_id, sum(views_change)::bigint AS views,
                 sum(billable_change)::bigint AS billable, sum(seconds_change)::bigint AS seconds
          FROM published.span_changes WHERE version > after_version AND version <= until_version
          GROUP BY 1, 2, 3, 4, 5) AS c
    LEFT JOIN published.span_totals b
        ON b.span = c.span AND b.start_on = c.before_on AND b.kind = c.kind AND b.subject_id = c.subject_id
    ON CONFLICT (span, start_on, kind, subject_id) DO UPDATE
    SET views = t.views + excluded.views, billable_views = t.billable_views + excluded.billable_views, rise = t.rise + excluded.views,
        watched_seconds = coalesce(t.watched_seconds + excluded.watched_seconds, t.watched_seconds, excluded.watched_seconds);

    UPDATE published.span_totals t SET rise = t.rise - c.views
    FROM (SELECT span, (start_on + ('1 ' || span)::interval)::date AS after_on, kind, subject_id, sum(views_change)::bigint AS views
          FROM published.span_changes WHERE version > after_version AND version <= until_version
          GROUP BY 1, 2, 3, 4) AS c
    WHERE t.span = c.span AND t.start_on = c.after_on AND t.kind = c.kind AND t.subject_id = c.subject_id AND c.views <> 0;
END $$;
REVOKE CREATE ON SCHEMA published FROM viewledger_owner;

INSERT INTO published.day_sums (payee_id, split_by, event_day, country, device, views, billable_views, watched_seconds)
SELECT payee_id, CASE WHEN GROUPING(country) = 0 THEN 'country' WHEN GROUPING(device) = 0 THEN 'device' ELSE 'day' END, event_day,
       CASE GROUPING(country) WHEN 0 THEN country ELSE '' END, CASE GROUPING(device) WHEN 0 THEN device ELSE '' END,
       sum(views)::bigint, sum(billable_views)::bigint, sum(watched_seconds)::bigint
FROM published.day_totals
GROUP BY GROUPING SETS ((payee_id, event_day), (payee_id, event_day, country), (payee_id, event_day, device));

GRANT SELECT ON published.day_sums TO viewledger_api, viewledger_auditor;

CREATE VIEW reporting.day_sums AS
    SELECT payee_id, split_by, event_day, country, device, views, billable_views, watched_seconds FROM published.day_sums;
COMMENT ON VIEW reporting.day_sums IS
    'Sums of days and channel_days by day, by day and country, and by day and device, in the current version.';
COMMENT ON COLUMN reporting.day_sums.payee_id IS 'As in channel_days; empty: all videos together';
COMMENT ON COLUMN reporting.day_sums.split_by IS
    'day: of all countries and devices; country: of all devices; device: of all countries. A sum over rows of several counts twice';
COMMENT ON COLUMN reporting.day_sums.event_day IS 'UTC day of the view';
COMMENT ON COLUMN reporting.day_sums.country IS 'Country of the viewer, ZZ when unknown; empty unless split by country';
COMMENT ON COLUMN reporting.day_sums.device IS 'As the player sent it; empty unless split by device';
COMMENT ON COLUMN reporting.day_sums.views IS 'Counted events';
COMMENT ON COLUMN reporting.day_sums.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.day_sums.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';
GRANT SELECT ON reporting.day_sums TO viewledger_reporting, viewledger_api;
