-- What the rules of a period find in traffic before the period is billed: for a payee and a reason, exactly which events, by a hash
-- of their places, and what a person can look at. A row is stored with the version that is the first to have it, whose days pin
-- it. Its events are invalid, or under review until somebody decides on their groups.

CREATE TABLE billing.traffic_findings (
    finding_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version       bigint NOT NULL REFERENCES published.versions,
    start_on      date NOT NULL CONSTRAINT traffic_findings_start_on_readable CHECK (start_on BETWEEN '0001-01-01' AND '9999-12-31'),
    end_on        date NOT NULL CONSTRAINT traffic_findings_end_on_readable CHECK (end_on BETWEEN '0001-01-01' AND '9999-12-31'),
    rule          text NOT NULL CHECK (rule ~ '^[a-z][a-z_]{0,63}$'),
    invalid_class text NOT NULL CHECK (invalid_class ~ '^[a-z_]{1,32}$'),
    payee_id      text NOT NULL CHECK (length(payee_id) <= 200),
    outcome       text NOT NULL CHECK (outcome IN ('invalid', 'review')),
    points        integer NOT NULL CHECK (points > 0),
    first_on      date NOT NULL,
    last_on       date NOT NULL,
    event_count   bigint NOT NULL CHECK (event_count > 0),
    set_hash      text NOT NULL CHECK (set_hash ~ '^[0-9a-f]{32}$'),
    evidence      jsonb NOT NULL CHECK (jsonb_typeof(evidence) = 'object'),
    found_at      timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT traffic_findings_found_at_readable CHECK (found_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    CHECK (start_on <= first_on AND first_on <= last_on AND last_on < end_on),
    UNIQUE (version, start_on, end_on, rule, payee_id, outcome)
);
COMMENT ON TABLE billing.traffic_findings IS
    'Append-only: what the rules of a period found of a payee, stored by the run that judged the period, with its version.';
COMMENT ON COLUMN billing.traffic_findings.end_on IS 'The day after the last of the period.';
COMMENT ON COLUMN billing.traffic_findings.payee_id IS 'Empty for events of videos that nobody owned.';
COMMENT ON COLUMN billing.traffic_findings.points IS 'Of the worst of its events; from 100 on they are invalid.';
COMMENT ON COLUMN billing.traffic_findings.evidence IS 'How many days, viewers, videos and networks its events have.';
ALTER TABLE billing.traffic_findings OWNER TO viewledger_owner;

SELECT billing.make_append_only(ARRAY['traffic_findings']);
SELECT billing.make_stamped(ARRAY['traffic_findings']);
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.traffic_findings REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('traffic_finding', 'finding_id::text');

GRANT INSERT (version, start_on, end_on, rule, invalid_class, payee_id, outcome, points, first_on, last_on, event_count, set_hash,
    evidence) ON billing.traffic_findings TO viewledger_pipeline;
GRANT SELECT ON billing.traffic_findings TO viewledger_reviewer, viewledger_pipeline, viewledger_billing, viewledger_approver,
    viewledger_auditor;

-- A policy of traffic has all thresholds of the rules of a period, or none, as those of before. Then no rule of a period judges its
-- days. As before, and that.

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
        FROM jsonb_object_keys(policy - names - of_periods) AS key
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

-- A database that has published and signed nothing begins with the values of this release.
DO $$
BEGIN
    IF EXISTS (SELECT FROM published.versions) OR EXISTS (SELECT FROM billing.checkpoints) THEN
        RETURN;
    END IF;
    ALTER TABLE billing.policies DISABLE TRIGGER USER;
    UPDATE billing.policies SET document = whole.text::jsonb, content_hash = encode(sha256(convert_to(whole.text, 'UTF8')), 'hex')
    FROM (SELECT '{' || string_agg(format('"%s": %s', key, value), ', ' ORDER BY key COLLATE "C") || '}' AS text
          FROM billing.policies, jsonb_each(document || '{"even_days": 14, "even_ratio_invalid": 12, "even_ratio_review": 6,
              "even_views": 3, "period_days": 28, "ring_days": 10, "ring_repeats": 3, "ring_views": 40,
              "weeks_viewer_views_max": 20, "weeks_witness_views_max": 2}')
          WHERE (kind, policy_version, actor) = ('traffic', 1, 'migration')) AS whole
    WHERE (kind, policy_version, actor) = ('traffic', 1, 'migration');
    ALTER TABLE billing.policies ENABLE TRIGGER USER;
END $$;
