-- A step is a step of something that is there, and what is there has its first step. So nothing is approved, answered or
-- voided before it is made, by whoever makes it, and nothing is kept back, or stands in the way, unseen.

CREATE FUNCTION billing.refuse_unknown_subject() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF NOT (CASE NEW.subject_kind
        WHEN 'statement' THEN EXISTS (SELECT FROM billing.statements WHERE statement_id = NEW.subject_id)
        WHEN 'hold' THEN EXISTS (SELECT FROM billing.holds WHERE hold_id = NEW.subject_id)
        WHEN 'appeal' THEN EXISTS (SELECT FROM billing.appeals WHERE appeal_id = NEW.subject_id)
        WHEN 'payout_batch' THEN EXISTS (SELECT FROM billing.payout_batches WHERE batch_id = NEW.subject_id)
        WHEN 'payout' THEN EXISTS (SELECT FROM billing.payout_items WHERE item_id = NEW.subject_id)
        ELSE true END) THEN
        RAISE EXCEPTION 'there is no % %', NEW.subject_kind, NEW.subject_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER subjects_are_known BEFORE INSERT ON billing.transitions
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_unknown_subject();

-- Checked at commit. Arguments: the kind, and the column of its id.
CREATE FUNCTION billing.check_first_step() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE id text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
    IF NOT EXISTS (SELECT FROM billing.transitions WHERE subject_kind = TG_ARGV[0] AND subject_id = id) THEN
        RAISE EXCEPTION '% % comes without its first step', TG_ARGV[0], id;
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE each text[];
BEGIN
    FOREACH each SLICE 1 IN ARRAY ARRAY[
        ['statements', 'statement', 'statement_id'], ['holds', 'hold', 'hold_id'], ['appeals', 'appeal', 'appeal_id'],
        ['payout_batches', 'payout_batch', 'batch_id'], ['payout_items', 'payout', 'item_id']] LOOP
        EXECUTE format('CREATE CONSTRAINT TRIGGER %I AFTER INSERT ON billing.%I DEFERRABLE INITIALLY DEFERRED
                        FOR EACH ROW EXECUTE FUNCTION billing.check_first_step(%L, %L)',
                       each[1] || '_with_first_step', each[1], each[2], each[3]);
    END LOOP;
END $$;

-- Checked at commit: a batch is voided with all its payments, and a statement gives way to another that names it.
CREATE FUNCTION billing.check_step_is_whole() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE left_over text;
BEGIN
    IF NEW.subject_kind = 'payout_batch' AND NEW.to_state = 'voided' THEN
        SELECT i.item_id INTO left_over FROM billing.payout_items i
        WHERE i.batch_id = NEW.subject_id AND NOT EXISTS (
            SELECT FROM billing.transitions t
            WHERE t.subject_kind = 'payout' AND t.subject_id = i.item_id AND t.to_state = 'voided') LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'payout batch % is voided, and its payment % is not', NEW.subject_id, left_over;
        END IF;
    ELSIF NEW.subject_kind = 'statement' AND NEW.to_state = 'superseded' THEN
        IF NOT EXISTS (SELECT FROM billing.statements WHERE supersedes = NEW.subject_id) THEN
            RAISE EXCEPTION 'statement % is superseded, and no other takes its place; `billing void` says that nothing is paid',
                NEW.subject_id;
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transitions_are_whole AFTER INSERT ON billing.transitions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.to_state IN ('voided', 'superseded')) EXECUTE FUNCTION billing.check_step_is_whole();

-- As before, and: a run approves nothing that takes the place of a statement which went further than being calculated; the
-- batch of a payment is always known.
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
        RAISE EXCEPTION '% % is %, not %', NEW.subject_kind, NEW.subject_id, coalesce(before, 'nowhere'), NEW.from_state;
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
                RAISE EXCEPTION 'statement % is above the approval limit of its run, was not calculated by it, or replaces another; '
                    'it waits in review for somebody else than %', NEW.subject_id, made.actor;
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
            RAISE EXCEPTION 'payment % cannot become %: its batch % is %',
                NEW.subject_id, NEW.to_state, batch, coalesce(batch_state, 'open');
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- A calculated statement is closed: lines join only inside the database transaction that calculates it, only as many as it
-- says, and before it is posted, so that what was checked stays true.
CREATE OR REPLACE FUNCTION billing.refuse_late_lines() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE closed text;
BEGIN
    SELECT arrived.statement_id INTO closed
    FROM (SELECT statement_id, max(line_index) AS last FROM arrived GROUP BY statement_id) AS arrived
    LEFT JOIN billing.statements AS calculated USING (statement_id)
    WHERE calculated.created_by IS DISTINCT FROM pg_current_xact_id() OR arrived.last >= calculated.line_count
       OR EXISTS (SELECT FROM billing.transactions t WHERE t.statement_id = arrived.statement_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement % is already calculated; a later one can replace it', closed;
    END IF;
    RETURN NULL;
END $$;

-- A statement is of the period of its run, has the id that follows from payee, period and number, and takes the place of the
-- one with the number before: nobody uses up the id of another's.
CREATE OR REPLACE FUNCTION billing.refuse_other_period() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE named text := format('statement:%s/%s:%s:', to_char(NEW.period_start_on, 'YYYY-MM-DD'),
                             to_char(NEW.period_end_on, 'YYYY-MM-DD'), NEW.payee_id);
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.runs r WHERE r.run_id = NEW.run_id AND r.period_start_on = NEW.period_start_on
                   AND r.period_end_on = NEW.period_end_on AND r.currency = NEW.currency) THEN
        RAISE EXCEPTION 'statement % is of another period or currency than its run %', NEW.statement_id, NEW.run_id;
    END IF;
    IF NEW.statement_id <> billing.posting_id(named || NEW.restatement_number)
       OR NEW.supersedes <> billing.posting_id(named || NEW.restatement_number - 1) THEN
        RAISE EXCEPTION 'statement % has not the id, or not the predecessor, of number % of payee % for %/%', NEW.statement_id,
            NEW.restatement_number, NEW.payee_id, NEW.period_start_on, NEW.period_end_on;
    END IF;
    RETURN NEW;
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['refuse_unknown_subject()', 'check_first_step()', 'check_step_is_whole()'] LOOP
        EXECUTE format('ALTER FUNCTION billing.%s OWNER TO viewledger_owner', name);
        -- inside one database transaction no statistics know how many rows there are; see causes_by_key
        EXECUTE format('ALTER FUNCTION billing.%s SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
                        SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan', name);
    END LOOP;
END $$;
