-- A policy of traffic may have an allow-list: networks, user agents and payees whose senders two people know to be honest. Its
-- entries exempt from rules about many viewers, until a day within 90 days of the policy's first one. The same two people, the same
-- checkpoint and the same first day to come as for thresholds; and nobody allows a payee of their own.

ALTER TABLE billing.policies DROP CONSTRAINT policies_traffic_readable,
    ADD CONSTRAINT policies_traffic_readable CHECK (kind <> 'traffic' OR (
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
        '$.keyvalue() ? (@.key != "demoted" && @.key != "allowed" '
        '&& !(@.value.type() == "number" && @.value >= 0 && @.value <= 100000))')
    AND NOT jsonb_path_exists(document,
        '$.keyvalue() ? (@.key != "demoted" && @.key != "allowed" && @.value.floor() != @.value)')
    AND NOT jsonb_path_exists(document,
        '$.keyvalue() ? (@.key != "demoted" && @.key != "allowed" && @.key != "script_spread_seconds" && @.value < 1)')
    AND jsonb_typeof(document -> 'demoted') = 'array'
    AND NOT jsonb_path_exists(document, '$.demoted[*] ? (@.type() != "string")')
    AND (NOT document ? 'allowed' OR jsonb_typeof(document -> 'allowed') = 'array')));

-- As before, and a policy may have the value `allowed`.

CREATE OR REPLACE FUNCTION billing.refuse_unusable_policy(of_kind text, of_version integer) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    policy jsonb; problem text;
    names CONSTANT text[] := ARRAY[
        'at_once_invalid', 'at_once_review', 'at_once_times_invalid', 'at_once_times_review', 'countries_invalid',
        'countries_review', 'country_changes', 'demoted', 'early_least_invalid', 'early_least_review',
        'early_ratio_invalid', 'early_ratio_review', 'edges_least_invalid', 'edges_least_review',
        'edges_ratio_invalid', 'edges_ratio_review', 'hours_invalid', 'hours_review', 'lockstep_networks',
        'lockstep_share', 'lockstep_viewers_invalid', 'lockstep_viewers_review', 'lonely_least_invalid',
        'lonely_least_review', 'lonely_ratio_invalid', 'lonely_ratio_review', 'network_changes', 'networks_invalid',
        'networks_review', 'paid_seconds', 'pause_seconds', 'pauses_invalid', 'pauses_review',
        'payee_at_once_invalid', 'payee_at_once_review', 'payee_at_once_times_invalid', 'payee_at_once_times_review',
        'script_repeats_invalid', 'script_repeats_review', 'script_share', 'script_spread_seconds', 'script_viewers',
        'session_networks_invalid', 'session_networks_review', 'session_viewers_invalid', 'session_viewers_review',
        'turn_overlap_share', 'turn_ratio', 'turn_viewers', 'turn_views', 'window_2_ratio_invalid',
        'window_2_ratio_review', 'window_30_ratio_invalid', 'window_30_ratio_review', 'window_4_ratio_invalid',
        'window_4_ratio_review', 'window_8_ratio_invalid', 'window_8_ratio_review', 'window_least_invalid',
        'window_least_review', 'witness_views_max'];
    of_periods CONSTANT text[] := ARRAY[
        'even_days', 'even_ratio_invalid', 'even_ratio_review', 'even_views', 'period_days', 'ring_days',
        'ring_repeats', 'ring_views', 'weeks_viewer_views_max', 'weeks_witness_views_max'];
    codes CONSTANT text[] := ARRAY[
        'accounts_in_turn', 'countries_within_hours', 'crowd_of_weeks', 'even_days', 'even_pauses', 'leave_once_paid',
        'lockstep', 'more_hours_than_a_day', 'neither_left_nor_finished', 'networks_seen_once', 'networks_within_hours',
        'nobody_leaves_early', 'payees_in_a_ring', 'plays_at_once', 'repeated_script', 'shared_session'];
BEGIN
    SELECT document INTO policy FROM billing.policies
    WHERE kind = 'traffic' AND (kind, policy_version) = (of_kind, of_version);
    SELECT text INTO problem FROM (
        SELECT format('it has the value %s, which no policy of traffic has', left(key, 64)) AS text
        FROM jsonb_object_keys(policy - names - of_periods - 'allowed') AS key
        UNION ALL
        SELECT format('it has not the value %s, and others of the rules of a period', key)
        FROM unnest(of_periods) AS key WHERE policy ?| of_periods AND NOT policy ? key
        UNION ALL
        SELECT format('%s is %s; it must be at most 100', key, policy -> key)
        FROM unnest(ARRAY['lockstep_share', 'turn_overlap_share']) AS key WHERE (policy -> key)::numeric > 100
        UNION ALL
        -- `_times_` counts how often it happened: fewer times are enough for what is worse
        SELECT format('%s is %s and %s %s; what is invalid must be at least what is reviewed',
                      invalid, policy -> invalid, review, policy -> review)
        FROM unnest(names || of_periods) AS invalid, regexp_replace(invalid, '_invalid$', '_review') AS review
        WHERE invalid LIKE '%\_invalid' AND invalid NOT LIKE '%\_times\_%'
          AND (policy -> invalid)::numeric < (policy -> review)::numeric
        UNION ALL
        SELECT format('demoted names %s; it must name codes of rules', left(code, 64))
        FROM jsonb_array_elements_text(policy -> 'demoted') AS code WHERE code <> ALL (codes)
    ) AS problems (text) ORDER BY text LIMIT 1;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '% policy % cannot be used: %', of_kind, of_version, problem USING ERRCODE = 'VL109';
    END IF;
END $$;

CREATE FUNCTION billing.refuse_unusable_allowed(of_kind text, of_version integer, by_actor text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    allowed jsonb; starts date; problem text;
    allowable CONSTANT text[] := ARRAY[
        'accounts_in_turn', 'crowd_of_weeks', 'leave_once_paid', 'lockstep', 'neither_left_nor_finished',
        'networks_seen_once', 'nobody_leaves_early', 'repeated_script', 'shared_session'];
BEGIN
    SELECT coalesce(document -> 'allowed', '[]'), first_on INTO allowed, starts FROM billing.policies
    WHERE kind = 'traffic' AND (kind, policy_version) = (of_kind, of_version);
    SELECT text INTO problem FROM (
        SELECT format('allowed has %s entries; it must have at most 200', jsonb_array_length(allowed)) AS text
        WHERE jsonb_array_length(allowed) > 200
        UNION ALL
        SELECT format('allowed has %s; an entry is [kind, name, the day on which it ends, reasons, why] of printable ASCII',
                      left(entry::text, 64))
        FROM jsonb_array_elements(allowed) AS entry
        WHERE CASE WHEN jsonb_typeof(entry) <> 'array' THEN true ELSE (
            jsonb_array_length(entry) = 5 AND jsonb_typeof(entry -> 3) = 'array'
            AND (jsonb_typeof(entry -> 0), jsonb_typeof(entry -> 1), jsonb_typeof(entry -> 2), jsonb_typeof(entry -> 4))
                = ('string', 'string', 'string', 'string')
            AND entry ->> 0 IN ('network', 'agent', 'payee')
            AND entry ->> 1 ~ '^[ -~]+$' AND length(entry ->> 1) <= 2048
            AND entry ->> 4 ~ '^[ -~]+$' AND length(entry ->> 4) <= 500) IS NOT TRUE END
        UNION ALL
        SELECT format('allowed names the network %s; it must be a /24 or /48 as the log has them', left(entry ->> 1, 64))
        FROM jsonb_array_elements(allowed) AS entry
        WHERE entry ->> 0 = 'network'
          AND entry ->> 1 !~ '^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}0/24$|^((0|[1-9a-f][0-9a-f]{0,3}):){1,3}:/48$'
        UNION ALL
        SELECT format('allowed names the %s %s %s times', entry ->> 0, left(entry ->> 1, 64), count(*))
        FROM jsonb_array_elements(allowed) AS entry GROUP BY entry ->> 0, entry ->> 1 HAVING count(*) > 1
        UNION ALL
        SELECT format('allowed names the %s %s until %s; it must be a day from %s to %s', entry ->> 0, left(entry ->> 1, 64),
                      left(entry ->> 2, 64), starts + 1, starts + 90)
        FROM jsonb_array_elements(allowed) AS entry
        WHERE entry ->> 2 <> ALL (SELECT to_char(starts + n, 'YYYY-MM-DD') FROM generate_series(1, 90) AS n)
        UNION ALL
        SELECT format('allowed names the %s %s for %s; reasons are some of %s, in order', entry ->> 0, left(entry ->> 1, 64),
                      left(entry ->> 3, 64), array_to_string(allowable, ', '))
        FROM jsonb_array_elements(allowed) AS entry
        WHERE CASE WHEN jsonb_typeof(entry -> 3) = 'array' THEN entry -> 3 IS DISTINCT FROM (
            SELECT jsonb_agg(code ORDER BY code COLLATE "C")
            FROM (SELECT DISTINCT code FROM jsonb_array_elements_text(entry -> 3) AS code
                  WHERE code = ANY (allowable)) AS known) END
    ) AS problems (text) ORDER BY text LIMIT 1;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '% policy % cannot be used: %', of_kind, of_version, problem USING ERRCODE = 'VL112';
    END IF;
    PERFORM billing.refuse_own_traffic(entry ->> 1, by_actor)
    FROM jsonb_array_elements(allowed) AS entry WHERE entry ->> 0 = 'payee';
END $$;
ALTER FUNCTION billing.refuse_unusable_allowed(text, integer, text) OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.refuse_unusable_allowed(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION billing.refuse_unusable_allowed(text, integer, text) IS
    'Raises if the allow-list of a policy of traffic could not be used, or names a payee who is the actor or the login.';

CREATE OR REPLACE FUNCTION billing.propose_policy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.refuse_unusable_policy(NEW.kind, NEW.policy_version);
    PERFORM billing.refuse_unusable_allowed(NEW.kind, NEW.policy_version, coalesce(NEW.actor, session_user));
    PERFORM billing.refuse_unreadable_policy(NEW.kind, NEW.policy_version, NEW.first_on);
    PERFORM billing.refuse_begun_policy(NEW.kind, NEW.policy_version, NEW.first_on);
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('policy', NEW.kind || ':' || NEW.policy_version, 0, 'open', 'proposed', coalesce(NEW.actor, session_user));
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_policy_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record; place bigint;
BEGIN
    PERFORM billing.lock_imports();
    SELECT kind, policy_version, first_on, actor, login INTO made FROM billing.policies
    WHERE kind || ':' || policy_version = NEW.subject_id;
    PERFORM billing.refuse_unusable_policy(made.kind, made.policy_version);
    PERFORM billing.refuse_unusable_allowed(made.kind, made.policy_version, NEW.actor);
    PERFORM billing.refuse_unreadable_policy(made.kind, made.policy_version, made.first_on);
    PERFORM billing.refuse_begun_policy(made.kind, made.policy_version, made.first_on);
    SELECT position INTO place FROM billing.journal WHERE kind = 'policy' AND key = made.kind || ' ' || made.policy_version;
    IF NOT EXISTS (SELECT FROM billing.checkpoints WHERE (body::jsonb ->> 'position_end')::bigint > place) THEN
        RAISE EXCEPTION 'no signed checkpoint covers policy % yet; approve it after the next one, `billing proof checkpoint`',
            NEW.subject_id USING ERRCODE = 'VL108';
    END IF;
    PERFORM billing.refuse_same_person('policy ' || NEW.subject_id, made.login, coalesce(made.actor, made.login), NEW.actor);
    RETURN NEW;
END $$;
