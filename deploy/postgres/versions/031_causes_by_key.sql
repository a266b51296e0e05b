-- What is checked for each transaction looks up a few rows by their keys. Inside the database transaction that writes
-- thousands of them no statistics know how many there are, and a plan that reads whole tables would be made and kept. Functions
-- in plpgsql keep their plans; those in SQL are planned at every call.

CREATE OR REPLACE FUNCTION billing.posting_id(key text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    RETURN left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 32);
END $$;

CREATE OR REPLACE FUNCTION billing.posting_problem(
    t billing.transactions, due billing.due_postings, accounts text[], amounts bigint[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    RETURN CASE
        WHEN (due).kind IS NULL OR (t).idempotency_key <> (due).kind || ':' || (due).subject_id
            THEN format('nothing causes it: no %s is due under its key', (t).kind)
        WHEN (t).transaction_id <> billing.posting_id((t).idempotency_key) THEN 'its id does not follow from its key'
        WHEN (t).payee_id <> (due).payee_id THEN format('it is of payee %s', (due).payee_id)
        WHEN (t).currency <> (due).currency THEN format('it is in %s and should be in %s', (t).currency, (due).currency)
        WHEN (t).effective_at NOT BETWEEN (due).effective_from AND (due).effective_until
            THEN format('it is effective at %s and should be from %s to %s', (t).effective_at, (due).effective_from,
                        (due).effective_until)
        WHEN (t).reverses IS DISTINCT FROM billing.posting_id((due).undoes || ':' || (due).subject_id)
            THEN format('it undoes %s and should undo %s', coalesce((t).reverses, 'nothing'),
                        coalesce(billing.posting_id((due).undoes || ':' || (due).subject_id), 'nothing'))
        WHEN (t).statement_id IS DISTINCT FROM (CASE WHEN (due).carries IS NOT NULL THEN (due).subject_id END)
            THEN 'it names another statement than its key'
        WHEN (due).carries IS NULL AND (t).remainder_micros <> 0 THEN 'it pays a remainder, and no statement'
        WHEN (t).carried_nanomicros_before + (due).carries
             <> (t).remainder_micros * 1000000000::bigint + (t).carried_nanomicros_after
            THEN 'it loses a part of the remainder of its statement'
        WHEN accounts IS DISTINCT FROM (due).accounts
             OR amounts IS DISTINCT FROM ARRAY[(due).amounts[1] + (t).remainder_micros, (due).amounts[2] - (t).remainder_micros]
                                         || (due).amounts[3:]
            THEN format('its entries are %s %s and should be %s %s, with a remainder of %s', accounts, amounts, (due).accounts,
                        (due).amounts, (t).remainder_micros)
    END;
END $$;

CREATE OR REPLACE FUNCTION billing.available_micros(payee text, money text) RETURNS numeric LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    RETURN coalesce((SELECT -sum(e.amount_micros) FROM billing.entries e WHERE e.account = 'payable:' || payee AND money = (
                         SELECT t.currency FROM billing.transactions t WHERE t.transaction_id = e.transaction_id)), 0)
         - coalesce((SELECT sum(h.amount_micros) FROM billing.holds h
                     WHERE h.payee_id = payee AND h.currency = money AND h.expires_at > clock_timestamp()
                       AND NOT EXISTS (SELECT 1 FROM billing.transitions m WHERE m.subject_kind = 'hold'
                                       AND m.subject_id = h.hold_id AND m.to_state IN ('released', 'voided', 'expired'))), 0);
END $$;

CREATE OR REPLACE FUNCTION billing.check_entries() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
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
        RAISE EXCEPTION 'transaction % has % entries and says %',
            NEW.transaction_id, coalesce(cardinality(named), 0), NEW.entry_count;
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'transaction % does not sum to zero: % micros over', NEW.transaction_id, total;
    END IF;
    SELECT d.* INTO due FROM billing.due_postings d
    WHERE d.kind = NEW.kind AND d.subject_id = substr(NEW.idempotency_key, length(NEW.kind) + 2);
    wrong := billing.posting_problem(NEW, due, named, posted);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % (%) of payee %: %', NEW.transaction_id, NEW.idempotency_key, NEW.payee_id, wrong;
    END IF;
    IF NEW.statement_id IS NOT NULL THEN
        SELECT sum(CASE t.kind WHEN 'reversal' THEN -1 ELSE 1 END) INTO standing
        FROM billing.statements own
        JOIN billing.statements s ON s.payee_id = own.payee_id COLLATE "C" AND s.period_start_on = own.period_start_on
             AND s.period_end_on = own.period_end_on
        JOIN billing.transactions t ON t.statement_id = s.statement_id
        WHERE own.statement_id = NEW.statement_id;
        IF standing <> 1 THEN
            RAISE EXCEPTION 'transaction % (%) of payee % leaves % statements of its period in force, and not 1',
                NEW.transaction_id, NEW.idempotency_key, NEW.payee_id, standing;
        END IF;
    ELSIF NEW.kind = 'payout' AND billing.available_micros(NEW.payee_id, NEW.currency) < 0 THEN
        RAISE EXCEPTION 'transaction % (%) pays % micros % more than payee % is owed and nothing keeps back',
            NEW.transaction_id, NEW.idempotency_key, -billing.available_micros(NEW.payee_id, NEW.currency), NEW.currency,
            NEW.payee_id;
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['check_entries()', 'check_step_is_posted()', 'check_payment_is_posted()', 'check_hold()',
                                'available_micros(text, text)'] LOOP
        EXECUTE format('ALTER FUNCTION billing.%s SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
                        SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan', name);
    END LOOP;
END $$;

-- The step that a transaction posts, by its subject: the index was of the state alone, and went through all subjects in it.
DROP INDEX billing.transitions_by_state;
CREATE INDEX transitions_by_state ON billing.transitions (subject_kind, to_state, subject_id);
