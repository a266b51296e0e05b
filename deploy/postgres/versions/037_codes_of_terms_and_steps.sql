-- Refusals of terms, steps and second persons have SQLSTATEs of their own. Only codes and sentences are new; what each function
-- checks is as it was. docs/reference/refusals.md lists the codes.

CREATE OR REPLACE FUNCTION billing.refuse_late_catalogue_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT catalogue_version FROM arrived) AS a WHERE NOT EXISTS (
                   SELECT 1 FROM billing.catalogue_versions v
                   WHERE v.catalogue_version = a.catalogue_version AND v.imported_by = pg_current_xact_id())
               OR EXISTS (SELECT 1 FROM billing.transitions t
                          WHERE t.subject_kind = 'catalogue' AND t.subject_id = a.catalogue_version::text)) THEN
        RAISE EXCEPTION 'billing.%: the catalogue version is already imported; import a new one',
            TG_TABLE_NAME USING ERRCODE = 'VL101';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_partial_ownership() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE wrong text;
BEGIN
    SELECT video_id INTO wrong FROM (
        SELECT catalogue_version, video_id, to_on, sum(share_ppm) AS share_ppm,
               lead(from_on) OVER (PARTITION BY catalogue_version, video_id ORDER BY from_on) AS next_from_on
        FROM (SELECT DISTINCT catalogue_version, video_id FROM arrived) AS a JOIN billing.owners USING (catalogue_version, video_id)
        GROUP BY catalogue_version, video_id, from_on, to_on) AS intervals
    WHERE share_ppm <> 1000000 OR next_from_on < to_on LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'billing.owners: the shares of video % do not add up to 1000000 on every day; correct the owners and import them again',
            wrong USING ERRCODE = 'VL102';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_terms_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record; what text := replace(NEW.subject_kind, '_', ' ') || ' ' || NEW.subject_id;
BEGIN
    PERFORM billing.lock_imports();
    IF NEW.subject_kind = 'catalogue' THEN
        SELECT catalogue_version::text AS id, actor, login INTO made FROM billing.catalogue_versions
        ORDER BY catalogue_version DESC LIMIT 1;
    ELSIF NEW.subject_kind = 'contract' THEN
        SELECT contract_version::text AS id, actor, login INTO made FROM billing.rate_cards
        ORDER BY contract_version DESC LIMIT 1;
    ELSE
        SELECT payee_id || ':' || account_version AS id, actor, login INTO made FROM billing.bank_accounts
        WHERE payee_id = regexp_replace(NEW.subject_id, ':[0-9]+$', '') ORDER BY account_version DESC LIMIT 1;
    END IF;
    IF made.id IS DISTINCT FROM NEW.subject_id THEN
        RAISE EXCEPTION '% is no longer the newest import (that is %); import again what should come into force',
            what, coalesce(made.id, 'nothing') USING ERRCODE = 'VL103';
    END IF;
    PERFORM billing.refuse_same_person(what, made.login, coalesce(made.actor, made.login), NEW.actor);
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_terms_not_in_force() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.catalogues_in_force WHERE catalogue_version = NEW.catalogue_version)
       OR NOT EXISTS (SELECT 1 FROM billing.contracts_in_force WHERE contract_version = NEW.contract_version) THEN
        RAISE EXCEPTION 'catalogue % or contract % was never in force; bill by versions that were approved',
            NEW.catalogue_version, NEW.contract_version USING ERRCODE = 'VL104';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_accounts_not_in_force() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE wrong text;
BEGIN
    SELECT a.payee_id INTO wrong FROM arrived a
    WHERE NOT EXISTS (SELECT 1 FROM billing.bank_accounts_in_force f
                      WHERE f.payee_id = a.payee_id AND f.account_version = a.account_version) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the bank account of payee % is not in force; a second person must approve it first',
            wrong USING ERRCODE = 'VL105';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.stamp_limit() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.login := session_user;
    NEW.set_at := clock_timestamp();
    IF billing.is_member(session_user, 'viewledger_billing') THEN
        RAISE EXCEPTION 'the login % may bill and so cannot set approval limits; use a login that may not bill',
            session_user USING ERRCODE = 'VL106';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_same_person(what text, maker_login text, maker text, checker text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF maker_login = session_user THEN
        RAISE EXCEPTION '% was made by the login %; another login must approve it', what, maker_login USING ERRCODE = 'VL201';
    END IF;
    IF lower(btrim(checker)) IN (lower(btrim(maker)), lower(maker_login), 'run')
       OR lower(session_user::text) = lower(btrim(maker)) THEN
        RAISE EXCEPTION '% was made by %; someone else must approve it', what, maker USING ERRCODE = 'VL202';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_other_roles() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE step record;
BEGIN
    FOR step IN SELECT DISTINCT a.subject_kind, a.to_state, a.roles FROM arrived
                JOIN billing.allowed_transitions a USING (subject_kind, from_state, to_state) LOOP
        IF NOT EXISTS (SELECT 1 FROM unnest(step.roles) AS role WHERE billing.acts_as(role)
                       OR role = 'viewledger_owner' AND current_user = 'viewledger_owner') THEN
            RAISE EXCEPTION 'a % becomes % only in the role %; the login % does not have that role, or acts in another one',
                step.subject_kind, step.to_state, array_to_string(step.roles, ' or '), session_user USING ERRCODE = 'VL203';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_unknown_subject() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF NOT (CASE NEW.subject_kind
        WHEN 'statement' THEN EXISTS (SELECT FROM billing.statements WHERE statement_id = NEW.subject_id)
        WHEN 'hold' THEN EXISTS (SELECT FROM billing.holds WHERE hold_id = NEW.subject_id)
        WHEN 'appeal' THEN EXISTS (SELECT FROM billing.appeals WHERE appeal_id = NEW.subject_id)
        WHEN 'payout_batch' THEN EXISTS (SELECT FROM billing.payout_batches WHERE batch_id = NEW.subject_id)
        WHEN 'payout' THEN EXISTS (SELECT FROM billing.payout_items WHERE item_id = NEW.subject_id)
        ELSE true END) THEN
        RAISE EXCEPTION 'there is no % %', NEW.subject_kind, NEW.subject_id USING ERRCODE = 'VL204';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.check_transition() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    before text;
    made record;
    batch text;
    batch_state text;
BEGIN
    NEW.moved_at := clock_timestamp();  -- stamped here, whatever the client says
    IF NEW.transition_index = 0 THEN
        before := 'open';
    ELSE
        SELECT to_state INTO before FROM billing.transitions
        WHERE subject_kind = NEW.subject_kind AND subject_id = NEW.subject_id
          AND transition_index = NEW.transition_index - 1;
    END IF;
    IF before IS DISTINCT FROM NEW.from_state THEN
        RAISE EXCEPTION '% % is in state %, not %',
            NEW.subject_kind, NEW.subject_id, coalesce(before, 'nowhere'), NEW.from_state USING ERRCODE = 'VL205';
    END IF;
    IF NEW.subject_kind = 'statement' AND NEW.to_state = 'approved' THEN
        SELECT r.actor, r.login AS run_login, s.login, r.approval_limit_micros,
               s.payable_micros + s.tax_micros > r.approval_limit_micros OR s.restatement_number > 0 AND EXISTS (
                   SELECT FROM billing.statements o JOIN billing.transitions t
                        ON t.subject_kind = 'statement' AND t.subject_id = o.statement_id
                   WHERE o.payee_id = s.payee_id AND o.period_start_on = s.period_start_on
                     AND o.period_end_on = s.period_end_on AND o.statement_id <> s.statement_id
                     AND t.to_state NOT IN ('calculated', 'superseded')) AS waits
        INTO made FROM billing.statements s JOIN billing.runs r USING (run_id) WHERE s.statement_id = NEW.subject_id;
        IF NEW.from_state = 'calculated' THEN
            IF NEW.actor <> 'run' OR made.waits IS DISTINCT FROM false THEN
                RAISE EXCEPTION 'statement % is above the approval limit of its run, was not calculated by that run, or replaces another '
                    'statement; someone other than % must approve it',
                    NEW.subject_id, made.actor USING ERRCODE = 'VL206';
            END IF;
        ELSE
            PERFORM billing.refuse_same_person('statement ' || NEW.subject_id, made.run_login, made.actor, NEW.actor);
            PERFORM billing.refuse_same_person('statement ' || NEW.subject_id, made.login, made.actor, NEW.actor);
        END IF;
    ELSIF NEW.subject_kind = 'payout_batch' AND NEW.to_state = 'approved' THEN
        SELECT login, actor INTO made FROM billing.payout_batches WHERE batch_id = NEW.subject_id;
        PERFORM billing.refuse_same_person('payout batch ' || NEW.subject_id, made.login, made.actor, NEW.actor);
    ELSIF NEW.subject_kind = 'payout' AND NEW.to_state IN ('settled', 'rejected', 'voided') THEN
        SELECT batch_id INTO batch FROM billing.payout_items WHERE item_id = NEW.subject_id;
        SELECT to_state INTO batch_state FROM billing.transitions
        WHERE subject_kind = 'payout_batch' AND subject_id = batch ORDER BY transition_index DESC LIMIT 1;
        IF batch_state IS DISTINCT FROM (CASE NEW.to_state WHEN 'voided' THEN 'voided' ELSE 'written' END) THEN
            RAISE EXCEPTION 'payment % cannot become % while its batch % is %',
                NEW.subject_id, NEW.to_state, batch, coalesce(batch_state, 'open') USING ERRCODE = 'VL207';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.check_first_step() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE id text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
    IF NOT EXISTS (SELECT FROM billing.transitions WHERE subject_kind = TG_ARGV[0] AND subject_id = id) THEN
        RAISE EXCEPTION '% % has no first step; write both in one database transaction', TG_ARGV[0], id USING ERRCODE = 'VL208';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_step_is_whole() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE left_over text;
BEGIN
    IF NEW.subject_kind = 'payout_batch' AND NEW.to_state = 'voided' THEN
        SELECT i.item_id INTO left_over FROM billing.payout_items i
        WHERE i.batch_id = NEW.subject_id AND NOT EXISTS (
            SELECT FROM billing.transitions t
            WHERE t.subject_kind = 'payout' AND t.subject_id = i.item_id AND t.to_state = 'voided') LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'payout batch % is voided but its payment % is not; void them in one database transaction',
                NEW.subject_id, left_over USING ERRCODE = 'VL209';
        END IF;
    ELSIF NEW.subject_kind = 'statement' AND NEW.to_state = 'superseded' THEN
        IF NOT EXISTS (SELECT FROM billing.statements WHERE supersedes = NEW.subject_id) THEN
            RAISE EXCEPTION 'statement % is superseded but no statement replaces it; `billing void` makes it pay nothing',
                NEW.subject_id USING ERRCODE = 'VL210';
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_step_is_posted() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE missing text;
BEGIN
    SELECT d.kind || ':' || d.subject_id INTO missing FROM billing.due_postings d
    WHERE d.subject_id = NEW.subject_id AND NOT EXISTS (
        SELECT 1 FROM billing.transactions t WHERE t.idempotency_key = d.kind || ':' || d.subject_id) LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% % became % but its transaction % is not posted; post it in the same database transaction',
            NEW.subject_kind, NEW.subject_id, NEW.to_state, missing USING ERRCODE = 'VL211';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_second_appeal() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE open_appeal text;
BEGIN
    PERFORM billing.lock_ledger();
    SELECT a.appeal_id INTO open_appeal FROM billing.appeals a
    WHERE a.statement_id = NEW.statement_id AND a.appeal_id <> NEW.appeal_id
      AND NOT EXISTS (SELECT 1 FROM billing.transitions t WHERE t.subject_kind = 'appeal' AND t.subject_id = a.appeal_id
                      AND t.to_state IN ('accepted', 'rejected', 'withdrawn'))
    LIMIT 1;
    IF open_appeal IS NOT NULL THEN
        RAISE EXCEPTION 'statement % has an open appeal already (%); file a new one after that is decided',
            NEW.statement_id, open_appeal USING ERRCODE = 'VL212';
    END IF;
    RETURN NEW;
END $$;
