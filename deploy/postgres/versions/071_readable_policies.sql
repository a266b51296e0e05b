-- A policy has no way back, for its table is append-only. So the proposal and the approval refuse, for every kind, what a program
-- reads in another way than the person who approves it: another kind or value than a program knows, a whole number written as 30.0, and a hash
-- that is not that of the values, for which the verifier would refuse every bundle. They refuse a first day so far ahead, too,
-- that no other policy could rule until then.

CREATE FUNCTION billing.refuse_unreadable_policy(of_kind text, of_version integer, of_first_on date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE policy jsonb; hash text; problem text;
BEGIN
    SELECT document, content_hash INTO policy, hash FROM billing.policies WHERE (kind, policy_version) = (of_kind, of_version);
    SELECT text INTO problem FROM (
        SELECT 'nothing has policies of this kind' AS text WHERE of_kind NOT IN ('counting', 'traffic')
        UNION ALL
        SELECT format('it has the value %s, which no policy of counting has', left(key, 64))
        FROM jsonb_object_keys(policy - ARRAY['asks_attestation', 'billable_per_viewer_max', 'minimum_view_seconds',
                                              'viewer_window_hours']) AS key WHERE of_kind = 'counting'
        UNION ALL
        SELECT format('%s is %s; it must be written as a whole number', left(key, 64), left(value::text, 64))
        FROM jsonb_each(policy) AS each (key, value) WHERE jsonb_typeof(value) = 'number' AND value::text !~ '^[0-9]+$'
        UNION ALL
        -- as programs write it: the values in order of their names, and a blank behind each colon and comma
        SELECT 'its hash is not that of its values' FROM (
            SELECT '{' || coalesce(string_agg(to_json(key) || ': ' || value, ', ' ORDER BY key COLLATE "C"), '') || '}'
            FROM jsonb_each(policy) AS each (key, value)) AS written (text)
        WHERE hash IS DISTINCT FROM encode(sha256(convert_to(text, 'UTF8')), 'hex')
        UNION ALL
        SELECT format('it would rule from %s on, and no other could until then; give a day within 366 days', of_first_on)
        WHERE of_first_on > (clock_timestamp() AT TIME ZONE 'UTC')::date + 366
    ) AS problems (text) ORDER BY text LIMIT 1;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '% policy % cannot be read: %', of_kind, of_version, problem USING ERRCODE = 'VL111';
    END IF;
END $$;
ALTER FUNCTION billing.refuse_unreadable_policy(text, integer, date) OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.refuse_unreadable_policy(text, integer, date) FROM PUBLIC;

CREATE OR REPLACE FUNCTION billing.propose_policy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.refuse_unusable_policy(NEW.kind, NEW.policy_version);
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

-- A step of a payout that another session has taken and not committed yet is over before payouts wait, or sees that they do.
CREATE OR REPLACE FUNCTION billing.refuse_payouts_after_restore() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE since timestamptz;
BEGIN
    PERFORM billing.lock_ledger();
    SELECT min(backed_up_at) INTO since FROM billing.waiting_restores;
    IF since IS NOT NULL THEN
        RAISE EXCEPTION 'the books were restored from a backup of % UTC, and payouts wait; a second person releases them: '
            '`billing payouts release`', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') USING ERRCODE = 'VL414';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.begin_restore() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.lock_ledger();
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
    VALUES ('restore', NEW.restore_id::text, 0, 'open', 'waits', NEW.actor, NEW.reason);
    RETURN NULL;
END $$;

-- A checkpoint whose body no program can read would end every check of the books, and every later checkpoint. So the database
-- compares all of it but the signature: its form, the link before it, the key in force, and the records that it covers.
CREATE FUNCTION billing.refuse_unreadable_checkpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    said jsonb; before record; covered record; is_right boolean; instant text;
    form CONSTANT text := '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$';
BEGIN
    SELECT body::jsonb AS said, encode(sha256(convert_to(body, 'UTF8')), 'hex') AS hash INTO before
    FROM billing.checkpoints WHERE sequence = NEW.sequence - 1;
    SELECT (body::jsonb ->> 'position_end')::bigint AS position_end, body::jsonb ->> 'day' AS day INTO covered
    FROM billing.checkpoints WHERE sequence < NEW.sequence AND body::jsonb ->> 'kind' = 'checkpoint'
    ORDER BY sequence DESC LIMIT 1;
    BEGIN
        said := NEW.body::jsonb;
        instant := coalesce(said ->> 'cut_at', said ->> 'made_at');
        is_right := said ->> 'format' = 'viewledger-checkpoint/1' AND said -> 'sequence' = to_jsonb(NEW.sequence)
            AND said ->> 'previous_hash' = coalesce(before.hash, repeat('0', 64))
            AND said ->> 'public_key' ~ '^[0-9a-f]{64}$'
            AND (before.said IS NULL
                 OR said ->> 'public_key' = coalesce(before.said ->> 'next_public_key', before.said ->> 'public_key'))
            AND instant ~ form AND to_char(instant::timestamptz, 'YYYY-MM-DD"T"HH24:MI:SS') = left(instant, 19)
            AND CASE said ->> 'kind'
                WHEN 'key_change' THEN said ->> 'next_public_key' ~ '^[0-9a-f]{64}$' AND said ? 'made_at'
                    AND said - ARRAY['format', 'sequence', 'previous_hash', 'public_key', 'kind', 'next_public_key',
                                     'made_at'] = '{}'
                WHEN 'checkpoint' THEN said ->> 'day' ~ '^\d{4}-\d\d-\d\d$' AND said ? 'cut_at'
                    AND to_char((said ->> 'day')::date, 'YYYY-MM-DD') = said ->> 'day'
                    -- forged and far ahead, it would leave no day for the next one
                    AND (said ->> 'day')::date <= clock_timestamp()::date + 1
                    AND (covered.day IS NULL OR said ->> 'day' > covered.day)
                    AND said -> 'position_start' = to_jsonb(coalesce(covered.position_end, 1))
                    AND said ->> 'position_end' ~ '^[0-9]{1,18}$' AND jsonb_typeof(said -> 'position_end') = 'number'
                    AND (said ->> 'position_end')::bigint BETWEEN coalesce(covered.position_end, 1)
                        AND (SELECT coalesce(max(position), 0) + 1 FROM billing.journal)
                    AND said -> 'record_count' = to_jsonb((
                        SELECT count(*) FROM billing.journal WHERE position >= coalesce(covered.position_end, 1)
                                                               AND position < (said ->> 'position_end')::bigint))
                    AND said ->> 'root' ~ '^[0-9a-f]{64}$'
                    AND said - ARRAY['format', 'sequence', 'previous_hash', 'public_key', 'kind', 'day', 'position_start',
                                     'position_end', 'record_count', 'root', 'cut_at'] = '{}'
                ELSE false END
            -- the one form that is signed
            AND NEW.body = (SELECT '{' || string_agg(to_json(key) || ':' || value, ',' ORDER BY key COLLATE "C") || '}'
                            FROM jsonb_each(said) AS each (key, value));
    EXCEPTION WHEN data_exception OR statement_too_complex THEN
        is_right := false;  -- not JSON, or without the number, day or instant that belongs there
    END;
    IF is_right IS NOT TRUE THEN
        RAISE EXCEPTION 'checkpoint % is not what a program reads after the one before it; make it with `billing proof checkpoint`',
            NEW.sequence USING ERRCODE = 'VL110';
    END IF;
    RETURN NEW;
END $$;
ALTER FUNCTION billing.refuse_unreadable_checkpoint() OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.refuse_unreadable_checkpoint() FROM PUBLIC;
CREATE TRIGGER readable_checkpoint BEFORE INSERT ON billing.checkpoints
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_unreadable_checkpoint();

-- Documents nested thousands of times, or with numbers of thousands of digits, would end their readers.
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT n.nspname AS home, c.relname AS name, a.attname AS field
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname IN ('billing', 'published') AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.atttypid = 'jsonb'::regtype LOOP
        EXECUTE format('ALTER TABLE %I.%I ADD CONSTRAINT %I CHECK (NOT jsonb_path_exists(%I, %L)) NOT VALID', each.home, each.name,
                       each.name || '_' || each.field || '_bounded', each.field,
                       '$ ? (exists (@.**{17 to last}) || exists (@.** ? (@.type() == "number" && (@ > 9223372036854775807 || '
                       '@ < -9223372036854775808))))');
    END LOOP;
END $$;
