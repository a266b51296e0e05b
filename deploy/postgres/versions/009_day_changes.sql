-- What each version changed in the settled views of a video on a day, down to the quarter of an hour, country and device.
-- The state at version V is the sum of the changes up to V: one index scan, and the same for ever.

CREATE TABLE published.video_day_changes (
    video_id        text NOT NULL,
    event_day       date NOT NULL,               -- UTC
    version         bigint NOT NULL REFERENCES published.versions (version),
    views_change    bigint NOT NULL,             -- of the whole day: the sum of cell_views
    billable_change bigint NOT NULL,
    quarters        smallint[] NOT NULL,         -- the cells that changed, one place in each array: quarter of an hour
    countries       text[] NOT NULL,             --   since the beginning of the UTC day (0 to 95), country, device,
    devices         text[] NOT NULL,             --   and by how much
    cell_views      bigint[] NOT NULL,
    cell_billable   bigint[] NOT NULL,
    PRIMARY KEY (video_id, event_day, version),
    CHECK (cardinality(quarters) > 0 AND cardinality(countries) = cardinality(quarters)
           AND cardinality(devices) = cardinality(quarters) AND cardinality(cell_views) = cardinality(quarters)
           AND cardinality(cell_billable) = cardinality(quarters))
);
COMMENT ON TABLE published.video_day_changes IS
    'Append-only: what each version changed by video, event day (UTC), quarter of an hour, country and device.';
CREATE INDEX video_day_changes_by_day ON published.video_day_changes (event_day, version, video_id)
    INCLUDE (views_change, billable_change);

CREATE TRIGGER video_day_changes_append_only BEFORE UPDATE OR DELETE ON published.video_day_changes
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();

GRANT SELECT ON published.video_day_changes TO viewledger_api, viewledger_auditor, viewledger_billing, viewledger_approver;
GRANT USAGE ON SCHEMA access TO viewledger_api;
GRANT SELECT ON access.api_keys TO viewledger_api;
