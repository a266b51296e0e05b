-- A policy of traffic that the program cannot read ends every run, and its table is append-only. So the proposal and the approval
-- refuse what the program refuses: a value that it does not know, values that contradict each other, shares above 100, and codes
-- that no rule has.

CREATE FUNCTION billing.refuse_unusable_policy(of_kind text, of_version integer) RETURNS void LANGUAGE plpgsql
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
    codes CONSTANT text[] := ARRAY[
        'accounts_in_turn', 'countries_within_hours', 'even_pauses', 'leave_once_paid', 'lockstep',
        'more_hours_than_a_day', 'neither_left_nor_finished', 'networks_seen_once', 'networks_within_hours',
        'nobody_leaves_early', 'plays_at_once', 'repeated_script', 'shared_session'];
BEGIN
    SELECT document INTO policy FROM billing.policies
    WHERE kind = 'traffic' AND (kind, policy_version) = (of_kind, of_version);
    SELECT text INTO problem FROM (
        SELECT format('it has the value %s, which no policy of traffic has', left(key, 64)) AS text
        FROM jsonb_object_keys(policy - names) AS key
        UNION ALL
        SELECT format('%s is %s; it must be at most 100', key, policy -> key)
        FROM unnest(ARRAY['lockstep_share', 'turn_overlap_share']) AS key WHERE (policy -> key)::numeric > 100
        UNION ALL
        -- `_times_` counts how often it happened: fewer times are enough for what is worse
        SELECT format('%s is %s and %s %s; what is invalid must be at least what is reviewed',
                      invalid, policy -> invalid, review, policy -> review)
        FROM unnest(names) AS invalid, regexp_replace(invalid, '_invalid$', '_review') AS review
        WHERE invalid LIKE '%\_invalid' AND invalid NOT LIKE '%\_times\_%'
          AND (policy -> invalid)::numeric < (policy -> review)::numeric
        UNION ALL
        SELECT format('demoted names %s; it must name codes of rules of the day', left(code, 64))
        FROM jsonb_array_elements_text(policy -> 'demoted') AS code WHERE code <> ALL (codes)
    ) AS problems (text) ORDER BY text LIMIT 1;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '% policy % cannot be used: %', of_kind, of_version, problem USING ERRCODE = 'VL109';
    END IF;
END $$;
ALTER FUNCTION billing.refuse_unusable_policy(text, integer) OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.refuse_unusable_policy(text, integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION billing.propose_policy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.refuse_unusable_policy(NEW.kind, NEW.policy_version);
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
    PERFORM billing.refuse_begun_policy(made.kind, made.policy_version, made.first_on);
    SELECT position INTO place FROM billing.journal WHERE kind = 'policy' AND key = made.kind || ' ' || made.policy_version;
    IF NOT EXISTS (SELECT FROM billing.checkpoints WHERE (body::jsonb ->> 'position_end')::bigint > place) THEN
        RAISE EXCEPTION 'no signed checkpoint covers policy % yet; approve it after the next one, `billing proof checkpoint`',
            NEW.subject_id USING ERRCODE = 'VL108';
    END IF;
    PERFORM billing.refuse_same_person('policy ' || NEW.subject_id, made.login, coalesce(made.actor, made.login), NEW.actor);
    RETURN NEW;
END $$;
