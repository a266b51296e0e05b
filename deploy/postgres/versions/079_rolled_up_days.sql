-- What pages about the whole platform read: the tally of each day, and sums by day, week and month whose number of rows does not
-- grow with the views. The state of the tally at version V is the sum of the changes up to V. Of the others there is the state of
-- the current version alone: it takes the changes of a version in the transaction that makes it the current one.

CREATE TABLE published.tally_changes (
    event_day     date NOT NULL CONSTRAINT tally_changes_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31'),
    verdict       text NOT NULL CHECK (verdict <> ''),
    reason        text NOT NULL,
    version       bigint NOT NULL REFERENCES published.versions (version),
    events_change bigint NOT NULL CHECK (events_change <> 0),
    PRIMARY KEY (event_day, verdict, reason, version)
);
COMMENT ON TABLE published.tally_changes IS
    'Append-only: how many more or fewer events of an event day (UTC) have a verdict in a version. All of a day are the received ones.';
COMMENT ON COLUMN published.tally_changes.reason IS 'Code of the first reason of rejected and invalid_traffic events; empty for others.';
CREATE TRIGGER tally_changes_append_only BEFORE UPDATE OR DELETE ON published.tally_changes
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER tally_changes_no_truncate BEFORE TRUNCATE ON published.tally_changes
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();

CREATE TABLE published.day_totals (
    payee_id        text NOT NULL,
    event_day       date NOT NULL,               -- UTC
    country         text NOT NULL,
    device          text NOT NULL,
    views           bigint NOT NULL,
    billable_views  bigint NOT NULL,
    watched_seconds bigint,
    PRIMARY KEY (payee_id, event_day, country, device)
);
COMMENT ON TABLE published.day_totals IS
    'Settled views of all videos, and of each channel, by event day (UTC), country and device, in the current version.';
COMMENT ON COLUMN published.day_totals.payee_id IS
    'The channel: who owned the largest share of the video on the day when the views were published. Empty: all videos together.';
COMMENT ON COLUMN published.day_totals.watched_seconds IS 'Null until a version of a release that sums them.';

CREATE TABLE published.span_totals (
    span            text NOT NULL CHECK (span IN ('week', 'month')),
    start_on        date NOT NULL,               -- a Monday, or the first of a month (UTC)
    kind            text NOT NULL CHECK (kind IN ('video', 'channel')),
    subject_id      text NOT NULL,
    views           bigint NOT NULL,
    billable_views  bigint NOT NULL,
    watched_seconds bigint,
    rise            bigint NOT NULL,             -- views less those of the span before
    PRIMARY KEY (span, start_on, kind, subject_id)
);
COMMENT ON TABLE published.span_totals IS
    'Settled views of a video or channel in a calendar week or month (UTC), in the current version. Without any it has no row.';
CREATE INDEX span_totals_by_views ON published.span_totals (kind, span, start_on, views DESC, subject_id);
CREATE INDEX span_totals_by_rise ON published.span_totals (kind, span, start_on, rise DESC, subject_id);

GRANT CREATE ON SCHEMA published TO viewledger_owner;
ALTER TABLE published.day_totals OWNER TO viewledger_owner;
ALTER TABLE published.span_totals OWNER TO viewledger_owner;

CREATE VIEW published.owned_changes AS
    SELECT d.*, o.payee_id
    FROM published.video_day_changes d LEFT JOIN LATERAL (
        SELECT w.payee_id FROM billing.owners w
        WHERE w.catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)
          AND w.video_id = d.video_id AND w.from_on <= d.event_day AND d.event_day < w.to_on
        ORDER BY w.share_ppm DESC, w.payee_id COLLATE "C" LIMIT 1) AS o ON true;
COMMENT ON VIEW published.owned_changes IS 'The changes of each version, with the channel of the video on its day by the catalogue in force.';
ALTER VIEW published.owned_changes OWNER TO viewledger_owner;

CREATE VIEW published.span_changes AS
    SELECT c.version, s.span, date_trunc(s.span, c.event_day)::date AS start_on,
           (date_trunc(s.span, c.event_day) - ('1 ' || s.span)::interval)::date AS before_on, k.kind, k.subject_id,
           c.views_change, c.billable_change, c.seconds_change
    FROM published.owned_changes c
    CROSS JOIN (VALUES ('week'), ('month')) AS s (span)
    CROSS JOIN LATERAL (VALUES ('video', c.video_id), ('channel', c.payee_id)) AS k (kind, subject_id)
    WHERE k.subject_id IS NOT NULL;
COMMENT ON VIEW published.span_changes IS 'What each version changed in the weeks and months of videos and channels.';
ALTER VIEW published.span_changes OWNER TO viewledger_owner;

-- Adds what the versions (after_version, until_version] changed. A rise that is new begins at minus the span before, which is read
-- as it was; what these versions change in the span before is taken off in the second statement, as from each rise there was.
CREATE FUNCTION published.roll_up_days(after_version bigint, until_version bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    INSERT INTO published.day_totals AS t (payee_id, event_day, country, device, views, billable_views, watched_seconds)
    SELECT CASE WHEN GROUPING(c.payee_id) = 1 THEN '' ELSE c.payee_id END, c.event_day, x.country, x.device,
           sum(x.views)::bigint, sum(x.billable)::bigint, sum(x.seconds)::bigint
    FROM published.owned_changes c
    CROSS JOIN LATERAL unnest(c.countries, c.devices, c.cell_views, c.cell_billable, c.cell_seconds)
        AS x (country, device, views, billable, seconds)
    WHERE c.version > after_version AND c.version <= until_version
    GROUP BY GROUPING SETS ((c.payee_id, c.event_day, x.country, x.device), (c.event_day, x.country, x.device))
    HAVING GROUPING(c.payee_id) = 1 OR c.payee_id IS NOT NULL
    ON CONFLICT (payee_id, event_day, country, device) DO UPDATE
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
COMMENT ON FUNCTION published.roll_up_days(bigint, bigint) IS 'Adds to the totals of days and spans what versions changed.';

CREATE FUNCTION published.roll_up_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    PERFORM published.roll_up_days(CASE TG_OP WHEN 'INSERT' THEN 0 ELSE OLD.version END, NEW.version);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION published.roll_up_version() IS 'Rolls up a version in the transaction that makes it the current one.';

ALTER FUNCTION published.roll_up_days(bigint, bigint) OWNER TO viewledger_owner;
ALTER FUNCTION published.roll_up_version() OWNER TO viewledger_owner;
REVOKE CREATE ON SCHEMA published FROM viewledger_owner;
REVOKE EXECUTE ON FUNCTION published.roll_up_days(bigint, bigint), published.roll_up_version() FROM PUBLIC;
CREATE TRIGGER pointer_rolls_up AFTER INSERT OR UPDATE ON published.pointer
    FOR EACH ROW EXECUTE FUNCTION published.roll_up_version();
SELECT published.roll_up_days(0, version) FROM published.pointer;

GRANT SELECT, INSERT ON published.tally_changes TO viewledger_pipeline;
GRANT SELECT ON published.tally_changes TO viewledger_api, viewledger_auditor;
GRANT SELECT ON published.day_totals, published.span_totals TO viewledger_api, viewledger_auditor;

CREATE VIEW reporting.tally AS
    SELECT event_day, verdict, reason, sum(events_change)::bigint AS events, max(version) AS changed_in_version
    FROM published.tally_changes
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    GROUP BY event_day, verdict, reason HAVING sum(events_change) <> 0;
COMMENT ON VIEW reporting.tally IS 'How many events of each day have which verdict in the current version; they add up to the received ones.';
COMMENT ON COLUMN reporting.tally.event_day IS 'UTC day of the event; of its receipt where it is rejected or late';
COMMENT ON COLUMN reporting.tally.verdict IS 'counted, duplicate, conflict, rejected, late_review or invalid_traffic';
COMMENT ON COLUMN reporting.tally.reason IS 'Code of the first reason of rejected and invalid_traffic events; empty for others';
COMMENT ON COLUMN reporting.tally.events IS 'Events';
COMMENT ON COLUMN reporting.tally.changed_in_version IS 'The last version that changed the row';

CREATE VIEW reporting.days AS
    SELECT event_day, country, device, views, billable_views, watched_seconds
    FROM published.day_totals WHERE payee_id = '';
COMMENT ON VIEW reporting.days IS 'Settled views of all videos together by event day, country and device in the current version.';
COMMENT ON COLUMN reporting.days.event_day IS 'UTC day of the view';
COMMENT ON COLUMN reporting.days.country IS 'Country of the viewer, ZZ when unknown';
COMMENT ON COLUMN reporting.days.device IS 'As the player sent it';
COMMENT ON COLUMN reporting.days.views IS 'Counted events';
COMMENT ON COLUMN reporting.days.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.days.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';

CREATE VIEW reporting.channel_days AS
    SELECT payee_id, event_day, country, device, views, billable_views, watched_seconds
    FROM published.day_totals WHERE payee_id <> '';
COMMENT ON VIEW reporting.channel_days IS 'Settled views of each channel by event day, country and device in the current version.';
COMMENT ON COLUMN reporting.channel_days.payee_id IS
    'Who owned the largest share of the video on the day, by the catalogue in force when the views were published';
COMMENT ON COLUMN reporting.channel_days.event_day IS 'UTC day of the view';
COMMENT ON COLUMN reporting.channel_days.country IS 'Country of the viewer, ZZ when unknown';
COMMENT ON COLUMN reporting.channel_days.device IS 'As the player sent it';
COMMENT ON COLUMN reporting.channel_days.views IS 'Counted events';
COMMENT ON COLUMN reporting.channel_days.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.channel_days.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';

CREATE VIEW reporting.video_spans AS
    SELECT t.span, t.start_on, t.subject_id AS video_id, v.title, t.views, t.billable_views, t.watched_seconds, t.rise
    FROM published.span_totals t LEFT JOIN billing.videos v
        ON v.catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force) AND v.video_id = t.subject_id
    WHERE t.kind = 'video';
COMMENT ON VIEW reporting.video_spans IS 'Settled views of each video by calendar week and month (UTC) in the current version.';
COMMENT ON COLUMN reporting.video_spans.span IS 'week or month';
COMMENT ON COLUMN reporting.video_spans.start_on IS 'Its first day: a Monday, or the first of a month';
COMMENT ON COLUMN reporting.video_spans.video_id IS 'The video; without a view in the span it has no row';
COMMENT ON COLUMN reporting.video_spans.title IS 'Its title in the catalogue in force; null if that has none';
COMMENT ON COLUMN reporting.video_spans.views IS 'Counted events';
COMMENT ON COLUMN reporting.video_spans.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.video_spans.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';
COMMENT ON COLUMN reporting.video_spans.rise IS 'Views less those of the span before';

CREATE VIEW reporting.channel_spans AS
    SELECT t.span, t.start_on, t.subject_id AS payee_id, p.name, t.views, t.billable_views, t.watched_seconds, t.rise
    FROM published.span_totals t LEFT JOIN billing.payees p
        ON p.catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force) AND p.payee_id = t.subject_id
    WHERE t.kind = 'channel';
COMMENT ON VIEW reporting.channel_spans IS 'Settled views of each channel by calendar week and month (UTC) in the current version.';
COMMENT ON COLUMN reporting.channel_spans.span IS 'week or month';
COMMENT ON COLUMN reporting.channel_spans.start_on IS 'Its first day: a Monday, or the first of a month';
COMMENT ON COLUMN reporting.channel_spans.payee_id IS 'As in channel_days; without a view in the span it has no row';
COMMENT ON COLUMN reporting.channel_spans.name IS 'Its name in the catalogue in force; null if that does not have it';
COMMENT ON COLUMN reporting.channel_spans.views IS 'Counted events';
COMMENT ON COLUMN reporting.channel_spans.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.channel_spans.watched_seconds IS
    'Seconds watched in the counted events; null until a version of a release that sums them';
COMMENT ON COLUMN reporting.channel_spans.rise IS 'Views less those of the span before';

CREATE VIEW reporting.under_review AS
    SELECT (w.happened_at AT TIME ZONE 'UTC')::date AS event_day, sum(w.event_count)::bigint AS events, count(*) AS group_count
    FROM billing.waiting_work w
    WHERE w.kind = 'traffic_group' AND NOT EXISTS (SELECT FROM billing.decided_groups d WHERE d.name = w.subject_id)
    GROUP BY 1;
COMMENT ON VIEW reporting.under_review IS
    'Views that are not paid until a person decides on their groups, by event day, as the last night listed them.';
COMMENT ON COLUMN reporting.under_review.event_day IS 'UTC day of the groups';
COMMENT ON COLUMN reporting.under_review.events IS 'Counted events';
COMMENT ON COLUMN reporting.under_review.group_count IS 'Groups that they are in';

GRANT SELECT ON reporting.tally, reporting.days, reporting.channel_days, reporting.video_spans, reporting.channel_spans,
    reporting.under_review TO viewledger_reporting;
GRANT USAGE ON SCHEMA reporting TO viewledger_api;
GRANT SELECT ON reporting.tally, reporting.days, reporting.channel_days, reporting.video_spans, reporting.channel_spans,
    reporting.under_review, reporting.versions TO viewledger_api;
