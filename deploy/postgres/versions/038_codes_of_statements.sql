-- Refusals of runs and statements have SQLSTATEs of their own. Only codes and sentences are new; what each function
-- checks is as it was. docs/reference/refusals.md lists the codes.

CREATE OR REPLACE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'billing.% is append-only; post a correcting transaction instead', TG_TABLE_NAME USING ERRCODE = 'VL301';
END $$;

CREATE OR REPLACE FUNCTION billing.lock_ledger() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the ledger is written in READ COMMITTED database transactions, not in %',
            upper(current_setting('transaction_isolation')) USING ERRCODE = 'VL302';
    END IF;
    LOCK TABLE billing.ledger_lock IN EXCLUSIVE MODE;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_overlapping_period() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.lock_ledger();
    IF EXISTS (SELECT 1 FROM billing.runs
               WHERE period_start_on < NEW.period_end_on AND NEW.period_start_on < period_end_on
                 AND (period_start_on, period_end_on) <> (NEW.period_start_on, NEW.period_end_on)) THEN
        RAISE EXCEPTION 'period %/% shares days with another billed period',
            NEW.period_start_on, NEW.period_end_on USING ERRCODE = 'VL303';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.stamp_run() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    NEW.started_at := clock_timestamp();
    IF NEW.period_end_on > today + 62 THEN
        RAISE EXCEPTION 'period %/% is not over; it must end at most 62 days after % (today, UTC)',
            NEW.period_start_on, NEW.period_end_on, today USING ERRCODE = 'VL304';
    END IF;
    NEW.approval_limit_micros := least(NEW.approval_limit_micros, CASE NEW.kind WHEN 'restatement' THEN -1
                                                                  ELSE billing.approval_limit(NEW.currency) END);
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_other_period() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE named text := format('statement:%s/%s:%s:', to_char(NEW.period_start_on, 'YYYY-MM-DD'),
                             to_char(NEW.period_end_on, 'YYYY-MM-DD'), NEW.payee_id);
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.runs r WHERE r.run_id = NEW.run_id AND r.period_start_on = NEW.period_start_on
                   AND r.period_end_on = NEW.period_end_on AND r.currency = NEW.currency) THEN
        RAISE EXCEPTION 'statement % has another period or currency than its run %',
            NEW.statement_id, NEW.run_id USING ERRCODE = 'VL305';
    END IF;
    IF NEW.statement_id <> billing.posting_id(named || NEW.restatement_number)
       OR NEW.supersedes <> billing.posting_id(named || NEW.restatement_number - 1) THEN
        RAISE EXCEPTION 'the id or the predecessor of statement % is wrong for number % of payee % for %/%',
            NEW.statement_id, NEW.restatement_number, NEW.payee_id, NEW.period_start_on, NEW.period_end_on USING ERRCODE = 'VL306';
    END IF;
    RETURN NEW;
END $$;

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
        RAISE EXCEPTION 'statement % is already calculated; a later one can replace it', closed USING ERRCODE = 'VL307';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_days_outside() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE outside text;
BEGIN
    SELECT a.statement_id INTO outside FROM arrived a JOIN billing.statements s USING (statement_id)
    WHERE (a.period_start_on, a.period_end_on) <> (s.period_start_on, s.period_end_on)
       OR a.owned_from_on < s.period_start_on OR a.owned_to_on > s.period_end_on LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement % has a line for days outside of its period', outside USING ERRCODE = 'VL308';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_lines() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    found integer;
    wrong integer;
    paid numeric;
    carried integer;
BEGIN
    SELECT count(*), coalesce(sum(amount_micros), 0), min(line_index) FILTER (WHERE amount_micros * 1000000000::numeric
               + carried_nanomicros <> rate_per_thousand_micros::numeric * quantity * share_ppm + carried_in),
           coalesce((array_agg(carried_nanomicros ORDER BY line_index DESC))[1], NEW.carried_nanomicros_before)
    INTO found, paid, wrong, carried
    FROM (SELECT *, lag(carried_nanomicros, 1, NEW.carried_nanomicros_before) OVER (ORDER BY line_index) AS carried_in
          FROM billing.payment_audit WHERE statement_id = NEW.statement_id) AS lines;
    IF found <> NEW.line_count THEN
        RAISE EXCEPTION 'statement % has % lines but declares %', NEW.statement_id, found, NEW.line_count USING ERRCODE = 'VL309';
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'statement %: the amount of line % does not follow from its quantity, rate and share',
            NEW.statement_id, wrong USING ERRCODE = 'VL310';
    END IF;
    IF carried <> NEW.carried_nanomicros_after THEN
        RAISE EXCEPTION 'statement %: its lines carry over % nano-micros but it declares %',
            NEW.statement_id, carried, NEW.carried_nanomicros_after USING ERRCODE = 'VL311';
    END IF;
    IF paid <> NEW.payable_micros + NEW.tax_micros + NEW.over_cap_micros THEN
        RAISE EXCEPTION 'statement %: its lines come to % micros but over cap + tax + payable is %',
            NEW.statement_id, paid, NEW.payable_micros + NEW.tax_micros + NEW.over_cap_micros USING ERRCODE = 'VL312';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_shares() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE beyond record;
BEGIN
    SELECT * INTO beyond FROM billing.statements_beyond_whole(ARRAY[NEW.statement_id]) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement % of payee %: with it % parts per million of the views of video % on % would be paid, '
            'more than the whole of 1000000; post it together with the statement that loses the share',
            NEW.statement_id, NEW.payee_id, beyond.share_ppm, beyond.video_id, beyond.day USING ERRCODE = 'VL313';
    END IF;
    RETURN NULL;
END $$;
