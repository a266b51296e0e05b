-- Groups under review end within 14 days: where nobody decides, their events are released by a row like a decision. A run notes
-- when a group is there for the first time, and when it is there no more, so the time of waiting is the database's.

CREATE TABLE billing.traffic_sightings (
    sighting_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version     bigint NOT NULL REFERENCES published.versions,
    event_day   date NOT NULL CONSTRAINT traffic_sightings_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31'),
    rule        text NOT NULL CHECK (rule ~ '^[a-z][a-z_]{0,63}$'),
    payee_id    text NOT NULL CHECK (length(payee_id) <= 200),
    event_count bigint NOT NULL CHECK (event_count > 0),
    set_hash    text NOT NULL CHECK (set_hash ~ '^[0-9a-f]{32}$'),
    is_there    boolean NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT traffic_sightings_seen_at_readable CHECK (seen_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE billing.traffic_sightings IS
    'Append-only: from which version on a group is under review, or is so no more; written by the run that sees it first.';
CREATE INDEX ON billing.traffic_sightings (event_day, rule, payee_id, event_count, set_hash, sighting_id);

CREATE TABLE billing.traffic_sighted (
    version      bigint PRIMARY KEY REFERENCES published.versions,
    content_hash text NOT NULL
);
COMMENT ON TABLE billing.traffic_sighted IS 'Append-only: the versions whose groups are noted, with the hash of their traffic_outcomes.';
ALTER TABLE billing.traffic_sightings OWNER TO viewledger_owner;
ALTER TABLE billing.traffic_sighted OWNER TO viewledger_owner;
SELECT billing.make_append_only(ARRAY['traffic_sightings', 'traffic_sighted']);
SELECT billing.make_stamped(ARRAY['traffic_sightings', 'traffic_sighted']);

ALTER TABLE billing.traffic_decisions ADD COLUMN expired_after_days integer CHECK (expired_after_days > 0),
    ADD CONSTRAINT traffic_decisions_expiry_releases CHECK (expired_after_days IS NULL OR outcome = 'released');
COMMENT ON COLUMN billing.traffic_decisions.expired_after_days IS
    'How long nobody had decided, for a row that the database wrote instead of a person; null: a person decided.';

-- nobody's payee is looked for where nobody decides
DROP TRIGGER checked_decision ON billing.traffic_decisions;
CREATE TRIGGER checked_decision BEFORE INSERT ON billing.traffic_decisions FOR EACH ROW
    WHEN (NEW.expired_after_days IS NULL) EXECUTE FUNCTION billing.check_traffic_decision();

CREATE VIEW billing.traffic_groups_waiting AS
    SELECT event_day, rule, payee_id, event_count, set_hash, seen_at, seen_at + interval '14 days' AS expires_at
    FROM (SELECT DISTINCT ON (event_day, rule, payee_id, event_count, set_hash) * FROM billing.traffic_sightings
          ORDER BY event_day, rule, payee_id, event_count, set_hash, sighting_id DESC) AS newest
    WHERE is_there AND NOT EXISTS (
        SELECT FROM billing.traffic_decisions d
        WHERE (d.event_day, d.rule, d.payee_id, d.event_count, d.set_hash)
            = (newest.event_day, newest.rule, newest.payee_id, newest.event_count, newest.set_hash));
ALTER VIEW billing.traffic_groups_waiting OWNER TO viewledger_owner;
COMMENT ON VIEW billing.traffic_groups_waiting IS 'The groups under review that nobody has decided on, and when their events are released.';

CREATE FUNCTION billing.expire_traffic_groups() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE expired bigint;
BEGIN
    INSERT INTO billing.traffic_decisions
        (event_day, rule, payee_id, event_count, set_hash, outcome, actor, reason, expired_after_days)
    SELECT event_day, rule, payee_id, event_count, set_hash, 'released', 'nobody', 'nobody decided within 14 days', 14
    FROM billing.traffic_groups_waiting WHERE expires_at <= clock_timestamp()
    ORDER BY event_day, rule, payee_id, event_count, set_hash
    ON CONFLICT (event_day, rule, payee_id, event_count, set_hash) DO NOTHING;
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired;
END $$;
COMMENT ON FUNCTION billing.expire_traffic_groups() IS
    'Releases the groups that nobody has decided on for 14 days; returns how many. Nothing that a caller says moves the time.';
ALTER FUNCTION billing.expire_traffic_groups() OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.expire_traffic_groups() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.expire_traffic_groups() TO viewledger_pipeline;

GRANT INSERT (version, event_day, rule, payee_id, event_count, set_hash, is_there) ON billing.traffic_sightings
    TO viewledger_pipeline;
GRANT INSERT (version, content_hash) ON billing.traffic_sighted TO viewledger_pipeline;
GRANT SELECT ON billing.traffic_sightings, billing.traffic_sighted, billing.traffic_groups_waiting
    TO viewledger_pipeline, viewledger_billing, viewledger_auditor, viewledger_reviewer;
