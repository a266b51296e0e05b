-- Every transaction has one cause, a step of a statement, a hold or a payment, and says no more than follows from it.
--
-- billing.due_postings derives from the causes alone what must be in the ledger. The ledger is held against it in both
-- directions: at commit, row by row, by deferred triggers, and as a whole by the view billing.posting_problems. Triggers
-- and not procedures, because they hold for every way in (COPY, INSERT, any program) and leave no second one.
-- Another kind of transaction: a view like billing.due_of_holds, one more UNION ALL in billing.due_postings, and its name
-- in transactions_kind_check.

CREATE FUNCTION billing.posting_id(key text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, billing, pg_temp
RETURN left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 32);

CREATE VIEW billing.due_of_statements AS
SELECT coalesce(step.kind, owed.kind) AS kind, s.statement_id AS subject_id, s.payee_id, s.currency,
       s.period_end_on::timestamp AT TIME ZONE 'UTC' AS effective_from,
       s.period_end_on::timestamp AT TIME ZONE 'UTC' AS effective_until,
       CASE WHEN step.kind = 'reversal' THEN owed.kind END AS undoes,
       CASE WHEN s.tax_micros = 0 THEN ARRAY['expense:creator-revenue', owed.account]
            ELSE ARRAY['expense:creator-revenue', owed.account, 'withheld-tax:' || s.tax_country] END AS accounts,
       CASE WHEN s.tax_micros = 0 THEN ARRAY[step.sign * s.payable_micros, -step.sign * s.payable_micros]
            ELSE ARRAY[step.sign * (s.payable_micros + s.tax_micros), -step.sign * s.payable_micros,
                       -step.sign * s.tax_micros] END AS amounts,
       step.sign * (s.carried_nanomicros_after - s.carried_nanomicros_before) AS carries
FROM billing.statements s
JOIN billing.transitions m ON m.subject_kind = 'statement' AND m.subject_id = s.statement_id
JOIN (VALUES (NULL, 'finalised', 1), ('reversal', 'superseded', -1)) AS step (kind, to_state, sign) ON step.to_state = m.to_state
CROSS JOIN LATERAL (   -- what is nobody's is owed on an account of that name, and posted as a kind of its own
    SELECT CASE s.payee_id WHEN 'suspense:unattributed' THEN 'suspense' ELSE 'statement' END AS kind,
           CASE s.payee_id WHEN 'suspense:unattributed' THEN s.payee_id ELSE 'payable:' || s.payee_id END AS account) AS owed
WHERE m.to_state = 'finalised' OR m.from_state IN ('finalised', 'paid');   -- superseded before that: nothing to undo

-- The clock that says when a step is effective is a client's; it may be this far from the database's.
CREATE FUNCTION billing.clock_tolerance() RETURNS interval LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, billing, pg_temp RETURN interval '1 hour';

CREATE VIEW billing.due_of_payments AS
SELECT step.kind, i.item_id AS subject_id, i.payee_id, b.currency,
       CASE WHEN m.to_state = 'instructed' THEN day.begins
            ELSE least(b.created_at, day.begins) - billing.clock_tolerance() END AS effective_from,
       CASE WHEN m.to_state = 'instructed' THEN day.begins
            ELSE greatest(m.moved_at, day.begins) + billing.clock_tolerance() END AS effective_until,
       step.undoes,
       ARRAY[replace(step.first, '?', i.payee_id), step.second] AS accounts,
       ARRAY[step.sign * i.amount_micros, -step.sign * i.amount_micros] AS amounts,
       NULL::integer AS carries
FROM billing.payout_items i
JOIN billing.payout_batches b USING (batch_id)
CROSS JOIN LATERAL (SELECT b.execution_on::timestamp AT TIME ZONE 'UTC' AS begins) AS day
JOIN billing.transitions m ON m.subject_kind = 'payout' AND m.subject_id = i.item_id
JOIN (VALUES ('payout',          'instructed', 'payable:?',        'clearing:payouts',  1, NULL),
             ('payout_settled',  'settled',    'clearing:payouts', 'bank',              1, NULL),
             ('payout_rejected', 'rejected',   'payable:?',        'clearing:payouts', -1, 'payout'),
             ('payout_voided',   'voided',     'payable:?',        'clearing:payouts', -1, 'payout'),
             ('payout_returned', 'returned',   'payable:?',        'bank',             -1, 'payout_settled'))
     AS step (kind, to_state, first, second, sign, undoes) ON step.to_state = m.to_state;

CREATE VIEW billing.due_of_holds AS
SELECT 'hold_voided' AS kind, h.hold_id AS subject_id, h.payee_id, h.currency,
       h.placed_at - billing.clock_tolerance() AS effective_from,
       least(m.moved_at, h.expires_at) + billing.clock_tolerance() AS effective_until,
       NULL AS undoes,
       ARRAY['payable:' || h.payee_id, 'expense:creator-revenue'] AS accounts,
       ARRAY[h.amount_micros, -h.amount_micros] AS amounts,
       NULL::integer AS carries
FROM billing.holds h
JOIN billing.transitions m ON m.subject_kind = 'hold' AND m.subject_id = h.hold_id AND m.to_state = 'voided';

CREATE VIEW billing.due_postings AS
SELECT * FROM billing.due_of_statements
UNION ALL SELECT * FROM billing.due_of_payments
UNION ALL SELECT * FROM billing.due_of_holds;
COMMENT ON VIEW billing.due_postings IS
    'What must be in the ledger, from the causes alone. A key (kind:subject) is used once; accounts and amounts are the
entries in their order; carries are the nano-micros that a statement owes beside its lines, null for all others.';

-- Why a transaction is not what its cause demands; null when it is. A whole micro of remainders goes to the first two entries.
CREATE FUNCTION billing.posting_problem(t billing.transactions, due billing.due_postings, accounts text[], amounts bigint[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, billing, pg_temp
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

-- How many statements of a payee and period the ledger holds and did not undo: one, as soon as there ever was one.
CREATE VIEW billing.statements_in_force AS
SELECT s.payee_id, s.period_start_on, s.period_end_on, sum(CASE t.kind WHEN 'reversal' THEN -1 ELSE 1 END) AS in_force
FROM billing.statements s JOIN billing.transactions t USING (statement_id)
GROUP BY s.payee_id, s.period_start_on, s.period_end_on;

-- What a payee is owed and nothing keeps back. Neither a payment nor a hold makes it negative.
CREATE FUNCTION billing.available_micros(payee text, money text) RETURNS numeric LANGUAGE sql STABLE SET search_path = pg_catalog, billing, pg_temp
RETURN coalesce((SELECT -sum(e.amount_micros) FROM billing.entries e JOIN billing.transactions t USING (transaction_id)
                 WHERE e.account = 'payable:' || payee AND t.currency = money), 0)
     - coalesce((SELECT sum(h.amount_micros) FROM billing.holds h
                 WHERE h.payee_id = payee AND h.currency = money AND h.expires_at > clock_timestamp()
                   AND NOT EXISTS (SELECT 1 FROM billing.transitions m WHERE m.subject_kind = 'hold'
                                   AND m.subject_id = h.hold_id AND m.to_state IN ('released', 'voided', 'expired'))), 0);

-- What is checked under the lock must be what others committed: a snapshot from before it would not show that.
CREATE OR REPLACE FUNCTION billing.lock_ledger() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the books are written in database transactions that are READ COMMITTED, not %',
            upper(current_setting('transaction_isolation'));
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.ledger'));
END $$;

-- Checked at commit, when all entries of a transaction and the step that it posts are there.
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
        SELECT f.in_force INTO standing FROM billing.statements s JOIN billing.statements_in_force f
            ON f.payee_id = s.payee_id AND f.period_start_on = s.period_start_on AND f.period_end_on = s.period_end_on
        WHERE s.statement_id = NEW.statement_id;
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

-- The other direction: a step that moves money, and a payment that a file would name, are in the ledger.
CREATE FUNCTION billing.check_step_is_posted() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
DECLARE missing text;
BEGIN
    SELECT d.kind || ':' || d.subject_id INTO missing FROM billing.due_postings d
    WHERE d.subject_id = NEW.subject_id AND NOT EXISTS (
        SELECT 1 FROM billing.transactions t WHERE t.idempotency_key = d.kind || ':' || d.subject_id) LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% % became %, and its transaction % is not posted with it',
            NEW.subject_kind, NEW.subject_id, NEW.to_state, missing;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transitions_are_posted AFTER INSERT ON billing.transitions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.to_state IN ('finalised', 'superseded', 'voided', 'instructed', 'settled', 'rejected', 'returned'))
    EXECUTE FUNCTION billing.check_step_is_posted();

CREATE FUNCTION billing.check_payment_is_posted() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.transactions t WHERE t.idempotency_key = 'payout:' || NEW.item_id) THEN
        RAISE EXCEPTION 'payment % of batch % to payee % is not posted', NEW.item_id, NEW.batch_id, NEW.payee_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER items_are_posted AFTER INSERT ON billing.payout_items DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing.check_payment_is_posted();

-- A bank pays today or later, and the books say so: no batch is dated back, or far ahead.
CREATE FUNCTION billing.stamp_batch() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    PERFORM billing.lock_ledger();
    NEW.created_at := clock_timestamp();   -- stamped here, whatever the client says
    NEW.created_by := pg_current_xact_id();
    IF NEW.execution_on NOT BETWEEN today AND today + 366 THEN
        RAISE EXCEPTION 'payout batch % is to be executed on %; give a day from % (today, UTC) to %',
            NEW.batch_id, NEW.execution_on, today, today + 366;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batches_stamp BEFORE INSERT ON billing.payout_batches
    FOR EACH ROW EXECUTE FUNCTION billing.stamp_batch();

CREATE FUNCTION billing.stamp_hold() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.lock_ledger();
    NEW.placed_at := clock_timestamp();    -- stamped here, whatever the client says
    RETURN NEW;
END $$;
CREATE TRIGGER holds_stamp BEFORE INSERT ON billing.holds FOR EACH ROW EXECUTE FUNCTION billing.stamp_hold();

CREATE FUNCTION billing.check_hold() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE available numeric := billing.available_micros(NEW.payee_id, NEW.currency);
BEGIN
    IF available < 0 THEN
        RAISE EXCEPTION 'a hold of % micros % is more than payee % is owed and nothing keeps back: % micros',
            NEW.amount_micros, NEW.currency, NEW.payee_id, available + NEW.amount_micros;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER holds_are_owed AFTER INSERT ON billing.holds DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing.check_hold();

-- The ledger as a whole against the causes: one sentence for each transaction without a cause, each cause without its
-- transaction, each remainder that was lost on its way and each payment of what was not owed. Empty in sound books.
CREATE VIEW billing.posting_problems AS
WITH entries_of AS (
    SELECT transaction_id, array_agg(account ORDER BY entry_index) AS accounts,
           array_agg(amount_micros ORDER BY entry_index) AS amounts
    FROM billing.entries GROUP BY transaction_id
), held_against AS (
    SELECT t.transaction_id, t.idempotency_key, t.payee_id, t.entry_count, e.accounts,
           billing.posting_problem(t, d, e.accounts, e.amounts) AS reason
    FROM billing.transactions t
    LEFT JOIN entries_of e USING (transaction_id)
    LEFT JOIN billing.due_postings d ON d.kind = t.kind AND d.subject_id = substr(t.idempotency_key, length(t.kind) + 2)
), chain AS (
    SELECT *, lag(carried_nanomicros_after, 1, 0) OVER (PARTITION BY payee_id, currency ORDER BY payee_sequence) AS carried,
           row_number() OVER (PARTITION BY payee_id, currency ORDER BY payee_sequence) AS place
    FROM billing.transactions WHERE payee_sequence IS NOT NULL
), running AS (
    SELECT t.transaction_id, t.idempotency_key, t.kind, t.payee_id, t.currency,
           -sum(e.amount_micros) OVER (PARTITION BY e.account, t.currency ORDER BY t.posted_at, t.transaction_id) AS owed
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id) WHERE e.account LIKE 'payable:%'
)
SELECT format('transaction %s (%s) of payee %s: %s', transaction_id, idempotency_key, payee_id, reason) AS problem
FROM held_against WHERE reason IS NOT NULL
UNION ALL
SELECT format('%s:%s of payee %s is due and was never posted', d.kind, d.subject_id, d.payee_id)
FROM billing.due_postings d LEFT JOIN billing.transactions t ON t.idempotency_key = d.kind || ':' || d.subject_id
WHERE t.transaction_id IS NULL
UNION ALL
SELECT format('payment %s of batch %s to payee %s was never posted', i.item_id, i.batch_id, i.payee_id)
FROM billing.payout_items i LEFT JOIN billing.transactions t ON t.idempotency_key = 'payout:' || i.item_id
WHERE t.transaction_id IS NULL
UNION ALL
SELECT format('%s statements of payee %s for %s/%s are in force, and not 1', in_force, payee_id, period_start_on, period_end_on)
FROM billing.statements_in_force WHERE in_force <> 1
UNION ALL
SELECT format('transaction %s (%s) of payee %s says that it is number %s of its chain and carries in %s nano-micros; '
              'it is number %s, and %s were carried out before it',
              transaction_id, idempotency_key, payee_id, payee_sequence, carried_nanomicros_before, place, carried)
FROM chain WHERE payee_sequence <> place OR carried_nanomicros_before <> carried
UNION ALL
SELECT format('transaction %s (%s) pays %s micros %s more than payee %s was owed', transaction_id, idempotency_key, -owed,
              currency, payee_id)
FROM running WHERE kind = 'payout' AND owed < 0;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['due_of_statements', 'due_of_payments', 'due_of_holds', 'due_postings', 'statements_in_force',
                                'posting_problems'] LOOP
        EXECUTE format('ALTER VIEW billing.%I OWNER TO viewledger_owner', name);
        EXECUTE format('GRANT SELECT ON billing.%I TO viewledger_billing, viewledger_approver, viewledger_auditor', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['posting_id(text)', 'clock_tolerance()', 'available_micros(text, text)', 'check_step_is_posted()',
                                'check_payment_is_posted()', 'stamp_batch()', 'stamp_hold()', 'check_hold()',
                                'posting_problem(billing.transactions, billing.due_postings, text[], bigint[])'] LOOP
        EXECUTE format('ALTER FUNCTION billing.%s OWNER TO viewledger_owner', name);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION billing.%s FROM PUBLIC', name);
    END LOOP;
END $$;
-- what the triggers of a writer and the views of a reader call
GRANT EXECUTE ON FUNCTION billing.posting_id(text), billing.clock_tolerance(), billing.available_micros(text, text),
    billing.posting_problem(billing.transactions, billing.due_postings, text[], bigint[])
    TO viewledger_billing, viewledger_approver, viewledger_auditor;
