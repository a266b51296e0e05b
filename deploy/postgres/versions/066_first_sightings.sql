-- The time of waiting counts from the first sighting of exactly a set, whatever was noted since: a row more cannot begin it again.
-- A set that was noted as gone has no expiry, for a decision on it would be applied to nothing; `reconcile` compares what is
-- noted with the groups of the version.

CREATE OR REPLACE VIEW billing.traffic_groups_waiting AS
    SELECT event_day, rule, payee_id, event_count, set_hash, seen_at, seen_at + interval '14 days' AS expires_at
    FROM (SELECT event_day, rule, payee_id, event_count, set_hash, min(seen_at) FILTER (WHERE is_there) AS seen_at,
                 (array_agg(is_there ORDER BY sighting_id DESC))[1] AS is_there
          FROM billing.traffic_sightings GROUP BY event_day, rule, payee_id, event_count, set_hash) AS noted
    WHERE is_there AND NOT EXISTS (
        SELECT FROM billing.traffic_decisions d
        WHERE (d.event_day, d.rule, d.payee_id, d.event_count, d.set_hash)
            = (noted.event_day, noted.rule, noted.payee_id, noted.event_count, noted.set_hash));
