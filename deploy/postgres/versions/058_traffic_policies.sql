-- Policies of traffic: the thresholds of the rules of the day, and the rules that are no more than a reason to look. They are
-- proposed, signed and approved as policies of counting are. The first one has the values that the program had by itself until
-- now. It rules from the day that `migrate` was given, or else from the first day that the newest version has a policy for; where
-- neither is known, no rule of the day was in use, and none is until somebody proposes a policy.

ALTER TABLE billing.policies ADD CONSTRAINT policies_traffic_readable CHECK (kind <> 'traffic' OR (
    document ?& ARRAY[
        'at_once_invalid', 'at_once_review', 'at_once_times_invalid', 'at_once_times_review', 'countries_invalid',
        'countries_review', 'country_changes', 'demoted', 'early_least_invalid', 'early_least_review',
        'early_ratio_invalid', 'early_ratio_review', 'edges_least_invalid', 'edges_least_review', 'edges_ratio_invalid',
        'edges_ratio_review', 'hours_invalid', 'hours_review', 'lockstep_networks', 'lockstep_share',
        'lockstep_viewers_invalid', 'lockstep_viewers_review', 'lonely_least_invalid', 'lonely_least_review',
        'lonely_ratio_invalid', 'lonely_ratio_review', 'network_changes', 'networks_invalid', 'networks_review',
        'paid_seconds', 'pause_seconds', 'pauses_invalid', 'pauses_review', 'payee_at_once_invalid',
        'payee_at_once_review', 'payee_at_once_times_invalid', 'payee_at_once_times_review', 'script_repeats_invalid',
        'script_repeats_review', 'script_share', 'script_spread_seconds', 'script_viewers', 'session_networks_invalid',
        'session_networks_review', 'session_viewers_invalid', 'session_viewers_review', 'turn_overlap_share',
        'turn_ratio', 'turn_viewers', 'turn_views', 'window_2_ratio_invalid', 'window_2_ratio_review',
        'window_30_ratio_invalid', 'window_30_ratio_review', 'window_4_ratio_invalid', 'window_4_ratio_review',
        'window_8_ratio_invalid', 'window_8_ratio_review', 'window_least_invalid', 'window_least_review',
        'witness_views_max']
    AND NOT jsonb_path_exists(document,
        '$.keyvalue() ? (@.key != "demoted" && !(@.value.type() == "number" && @.value >= 0 && @.value <= 100000))')
    AND NOT jsonb_path_exists(document, '$.keyvalue() ? (@.key != "demoted" && @.value.floor() != @.value)')
    AND NOT jsonb_path_exists(document, '$.keyvalue() ? (@.key != "demoted" && @.key != "script_spread_seconds" && @.value < 1)')
    AND jsonb_typeof(document -> 'demoted') = 'array'
    AND NOT jsonb_path_exists(document, '$.demoted[*] ? (@.type() != "string")')));

DO $$
DECLARE ruled_from date;
BEGIN
    SELECT coalesce(nullif(current_setting('viewledger.traffic_ruled_from', true), '')::date, (
        SELECT min(each.key::date) FROM published.versions v, jsonb_each(v.day_rules) AS each
        WHERE v.version = (SELECT max(version) FROM published.versions) AND each.value #> '{traffic,policy_version}' IS NOT NULL))
    INTO ruled_from;
    IF ruled_from IS NULL THEN
        RETURN;
    END IF;
    -- its day may have begun, and nobody proposed it, as with the policy of counting before there were proposals
    ALTER TABLE billing.policies DISABLE TRIGGER policies_proposed;
    INSERT INTO billing.policies (kind, policy_version, first_on, document, content_hash, actor)
    SELECT 'traffic', 1, ruled_from, document::jsonb, encode(sha256(convert_to(document, 'UTF8')), 'hex'), 'migration'
    FROM (VALUES (
          '{"at_once_invalid": 10, "at_once_review": 6, "at_once_times_invalid": 2, "at_once_times_review": 3, '
          '"countries_invalid": 5, "countries_review": 3, "country_changes": 3, "demoted": [], "early_least_invalid": 14, '
          '"early_least_review": 10, "early_ratio_invalid": 8, "early_ratio_review": 5, "edges_least_invalid": 20, '
          '"edges_least_review": 15, "edges_ratio_invalid": 4, "edges_ratio_review": 3, "hours_invalid": 48, '
          '"hours_review": 30, "lockstep_networks": 4, "lockstep_share": 60, "lockstep_viewers_invalid": 15, '
          '"lockstep_viewers_review": 6, "lonely_least_invalid": 60, "lonely_least_review": 30, '
          '"lonely_ratio_invalid": 25, "lonely_ratio_review": 10, "network_changes": 9, "networks_invalid": 20, '
          '"networks_review": 10, "paid_seconds": 30, "pause_seconds": 15, "pauses_invalid": 12, "pauses_review": 8, '
          '"payee_at_once_invalid": 5, "payee_at_once_review": 3, "payee_at_once_times_invalid": 3, '
          '"payee_at_once_times_review": 4, "script_repeats_invalid": 6, "script_repeats_review": 3, "script_share": 20, '
          '"script_spread_seconds": 3600, "script_viewers": 3, "session_networks_invalid": 4, '
          '"session_networks_review": 3, "session_viewers_invalid": 5, "session_viewers_review": 3, '
          '"turn_overlap_share": 10, "turn_ratio": 20, "turn_viewers": 4, "turn_views": 16, "window_2_ratio_invalid": 12, '
          '"window_2_ratio_review": 6, "window_30_ratio_invalid": 7, "window_30_ratio_review": 4, '
          '"window_4_ratio_invalid": 10, "window_4_ratio_review": 5, "window_8_ratio_invalid": 8, '
          '"window_8_ratio_review": 4, "window_least_invalid": 20, "window_least_review": 14, "witness_views_max": 20}'
    )) AS first (document);
    ALTER TABLE billing.policies ENABLE TRIGGER policies_proposed;
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
    VALUES ('policy', 'traffic:1', 0, 'open', 'in_force', 'migration', 'by which the traffic of days was judged until now');
END $$;
