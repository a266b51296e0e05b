-- Refusals of the ledger, holds and payouts have SQLSTATEs of their own. Only codes and sentences are new; what each function
-- checks is as it was. docs/reference/refusals.md lists the codes.

CREATE OR REPLACE FUNCTION billing.check_chain() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    carried integer;
BEGIN
    PERFORM billing.lock_ledger();          -- so that posted_at is in the order of the commits
    NEW.posted_at := clock_timestamp();     -- stamped here, whatever the client says
    NEW.posted_by := pg_current_xact_id();
    IF NEW.payee_sequence IS NULL THEN
        RETURN NEW;
    ELSIF NEW.payee_sequence = 1 THEN
        carried := 0;
    ELSE
        SELECT carried_nanomicros_after INTO carried FROM billing.transactions
        WHERE payee_id = NEW.payee_id AND currency = NEW.currency AND payee_sequence = NEW.payee_sequence - 1;
    END IF;
    IF carried IS DISTINCT FROM NEW.carried_nanomicros_before THEN
        RAISE EXCEPTION 'transaction % of payee % carries in % nano-micros but the one before it carried out %',
            NEW.transaction_id, NEW.payee_id, NEW.carried_nanomicros_before, coalesce(carried::text, 'none')
            USING ERRCODE = 'VL401';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_late_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    closed text;
BEGIN
    SELECT arrived.transaction_id INTO closed
    FROM (SELECT transaction_id, max(entry_index) AS last FROM arrived GROUP BY transaction_id) AS arrived
    LEFT JOIN billing.transactions AS posted USING (transaction_id)
    WHERE posted.posted_by IS DISTINCT FROM pg_current_xact_id() OR arrived.last >= posted.entry_count LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % is already posted; post a correcting transaction instead', closed USING ERRCODE = 'VL402';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    named text[];
    posted bigint[];
    total numeric;
    due billing.due_postings;
    wrong text;
    standing bigint;
BEGIN
    SELECT array_agg(account ORDER BY entry_index), array_agg(amount_micros ORDER BY entry_index),
           coalesce(sum(amount_micros), 0)
    INTO named, posted, total FROM billing.entries WHERE transaction_id = NEW.transaction_id;
    IF coalesce(cardinality(named), 0) <> NEW.entry_count THEN
        RAISE EXCEPTION 'transaction % has % entries but declares %',
            NEW.transaction_id, coalesce(cardinality(named), 0), NEW.entry_count USING ERRCODE = 'VL403';
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'transaction % does not sum to zero: its entries sum to % micros',
            NEW.transaction_id, total USING ERRCODE = 'VL404';
    END IF;
    SELECT d.* INTO due FROM billing.due_postings d
    WHERE d.kind = NEW.kind AND d.subject_id = substr(NEW.idempotency_key, length(NEW.kind) + 2);
    wrong := billing.posting_problem(NEW, due, named, posted);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % (%) of payee %: %',
            NEW.transaction_id, NEW.idempotency_key, NEW.payee_id, wrong USING ERRCODE = 'VL405';
    END IF;
    IF NEW.statement_id IS NOT NULL THEN
        SELECT sum(CASE t.kind WHEN 'reversal' THEN -1 ELSE 1 END) INTO standing
        FROM billing.statements own
        JOIN billing.statements s ON s.payee_id = own.payee_id COLLATE "C" AND s.period_start_on = own.period_start_on
             AND s.period_end_on = own.period_end_on
        JOIN billing.transactions t ON t.statement_id = s.statement_id
        WHERE own.statement_id = NEW.statement_id;
        IF standing <> 1 THEN
            RAISE EXCEPTION 'transaction % (%) of payee % leaves % statements of its period in force; exactly 1 is allowed',
                NEW.transaction_id, NEW.idempotency_key, NEW.payee_id, standing USING ERRCODE = 'VL406';
        END IF;
    ELSIF NEW.kind = 'payout' AND billing.available_micros(NEW.payee_id, NEW.currency) < 0 THEN
        RAISE EXCEPTION 'transaction % (%) pays % micros % more than payee % is owed and not on hold',
            NEW.transaction_id, NEW.idempotency_key, -billing.available_micros(NEW.payee_id, NEW.currency), NEW.currency, NEW.payee_id
            USING ERRCODE = 'VL407';
    ELSIF NEW.kind = 'hold_voided' AND billing.available_micros(NEW.payee_id, NEW.currency) < 0 THEN
        RAISE EXCEPTION 'transaction % (%) takes more from payee % than is still owed; the rest was paid or is on hold',
            NEW.transaction_id, NEW.idempotency_key, NEW.payee_id USING ERRCODE = 'VL408';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_hold() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE available numeric := billing.available_micros(NEW.payee_id, NEW.currency);
BEGIN
    IF available < 0 THEN
        RAISE EXCEPTION 'a hold of % micros % is more than payee % is owed and not on hold: % micros',
            NEW.amount_micros, NEW.currency, NEW.payee_id, available + NEW.amount_micros USING ERRCODE = 'VL409';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.check_payment_is_posted() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.transactions t WHERE t.idempotency_key = 'payout:' || NEW.item_id) THEN
        RAISE EXCEPTION 'payment % of batch % to payee % is not posted; post it in the same database transaction',
            NEW.item_id, NEW.batch_id, NEW.payee_id USING ERRCODE = 'VL410';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.refuse_late_items() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM arrived JOIN billing.payout_batches b USING (batch_id)
               WHERE b.created_by <> pg_current_xact_id()) THEN
        RAISE EXCEPTION 'the payout batch is already made; put what is still owed into a new one' USING ERRCODE = 'VL411';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.stamp_batch() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    PERFORM billing.lock_ledger();
    NEW.created_at := clock_timestamp();   -- stamped here, whatever the client says
    NEW.created_by := pg_current_xact_id();
    IF NEW.execution_on NOT BETWEEN today AND today + 366 THEN
        RAISE EXCEPTION 'payout batch % cannot be executed on %; choose a day from % (today, UTC) to %',
            NEW.batch_id, NEW.execution_on, today, today + 366 USING ERRCODE = 'VL412';
    END IF;
    RETURN NEW;
END $$;
