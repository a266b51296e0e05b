-- The ledger: double entry in integer micros, one currency per transaction, on two time axes. Only ever added to.

CREATE TABLE billing.transactions (
    transaction_id    text PRIMARY KEY,
    idempotency_key   text NOT NULL UNIQUE,
    inputs_hash       text NOT NULL,         -- same key with other inputs is a conflict, not a replay
    kind              text NOT NULL CHECK (kind IN ('statement', 'reversal', 'payout', 'payout_settled',
                                                    'payout_rejected', 'payout_returned', 'hold_voided')),
    payee_id          text NOT NULL,
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reverses          text UNIQUE REFERENCES billing.transactions,     -- undone at most once
    entry_count       integer NOT NULL CHECK (entry_count >= 2),       -- double entry
    effective_at      timestamptz NOT NULL,  -- when it is true in the world: the end of the period, the day of the payout
    posted_at         timestamptz NOT NULL,  -- when the books learned of it
    posted_by         xid8 NOT NULL,
    -- of kinds statement and reversal: the chain along which the payee's remainder is carried
    statement_id      text REFERENCES billing.statements,
    payee_sequence    bigint CHECK (payee_sequence > 0),
    carried_nanomicros_before integer CHECK (carried_nanomicros_before BETWEEN 0 AND 999999999),
    carried_nanomicros_after  integer CHECK (carried_nanomicros_after BETWEEN 0 AND 999999999),
    remainder_micros  smallint NOT NULL DEFAULT 0 CHECK (remainder_micros BETWEEN -1 AND 1),
    UNIQUE (statement_id, kind),
    UNIQUE (payee_id, currency, payee_sequence),
    CHECK ((kind IN ('statement', 'reversal')) = (statement_id IS NOT NULL)),
    CHECK ((statement_id IS NULL) = (payee_sequence IS NULL)),
    CHECK ((statement_id IS NULL) = (carried_nanomicros_before IS NULL)),
    CHECK ((statement_id IS NULL) = (carried_nanomicros_after IS NULL)),
    CHECK (kind NOT IN ('reversal', 'payout_rejected', 'payout_returned') OR reverses IS NOT NULL)
);
COMMENT ON COLUMN billing.transactions.remainder_micros IS
    'Paid beside the lines because remainders of other statements, posted meanwhile, added up to a whole micro (or -1).';
CREATE INDEX transactions_by_posting ON billing.transactions (posted_at);

-- What a transaction carries in is what the one before it carried out; the first carries in nothing.
CREATE FUNCTION billing.check_chain() RETURNS trigger LANGUAGE plpgsql AS $$
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
        RAISE EXCEPTION 'transaction % of payee % carries in % nano-micros, and % were carried out before it',
            NEW.transaction_id, NEW.payee_id, NEW.carried_nanomicros_before, coalesce(carried::text, 'none');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER transactions_chain BEFORE INSERT ON billing.transactions
    FOR EACH ROW EXECUTE FUNCTION billing.check_chain();

CREATE TABLE billing.entries (
    transaction_id text NOT NULL REFERENCES billing.transactions,
    entry_index    integer NOT NULL CHECK (entry_index >= 0),
    account        text NOT NULL CHECK (account ~ '^(expense:creator-revenue|payable:.+|withheld-tax:..|clearing:payouts|bank)$'),
    amount_micros  bigint NOT NULL,          -- debit positive, credit negative
    PRIMARY KEY (transaction_id, entry_index)
);
CREATE INDEX entries_by_account ON billing.entries (account);

-- Checked at commit, when all entries of a transaction are there.
CREATE FUNCTION billing.check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found integer;
    total numeric;
    payable numeric;
    tax numeric;
    s billing.statements;
    sign integer := CASE NEW.kind WHEN 'reversal' THEN -1 ELSE 1 END;
BEGIN
    SELECT count(*), coalesce(sum(amount_micros), 0),
           coalesce(-sum(amount_micros) FILTER (WHERE account = 'payable:' || NEW.payee_id), 0),
           coalesce(-sum(amount_micros) FILTER (WHERE account LIKE 'withheld-tax:%'), 0)
    INTO found, total, payable, tax FROM billing.entries WHERE transaction_id = NEW.transaction_id;
    IF found <> NEW.entry_count THEN
        RAISE EXCEPTION 'transaction % has % entries and says %', NEW.transaction_id, found, NEW.entry_count;
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'transaction % does not sum to zero: % micros over', NEW.transaction_id, total;
    END IF;
    IF NEW.statement_id IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO s FROM billing.statements WHERE statement_id = NEW.statement_id;
    IF payable <> sign * s.payable_micros + NEW.remainder_micros OR tax <> sign * s.tax_micros
       OR s.payee_id <> NEW.payee_id OR s.currency <> NEW.currency THEN
        RAISE EXCEPTION 'transaction % does not post what statement % says', NEW.transaction_id, NEW.statement_id;
    END IF;
    IF NEW.carried_nanomicros_before + sign * (s.carried_nanomicros_after - s.carried_nanomicros_before)
       <> NEW.remainder_micros * 1000000000::bigint + NEW.carried_nanomicros_after THEN
        RAISE EXCEPTION 'transaction % loses a part of the remainder of statement %', NEW.transaction_id, NEW.statement_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transactions_entries AFTER INSERT ON billing.transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.check_entries();

-- A posted transaction is closed: entries join only inside the database transaction that posts it, and only as many as
-- it says, so that what was checked stays true.
CREATE FUNCTION billing.refuse_late_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed text;
BEGIN
    SELECT arrived.transaction_id INTO closed
    FROM (SELECT transaction_id, max(entry_index) AS last FROM arrived GROUP BY transaction_id) AS arrived
    LEFT JOIN billing.transactions AS posted USING (transaction_id)
    WHERE posted.posted_by IS DISTINCT FROM pg_current_xact_id() OR arrived.last >= posted.entry_count LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % is already posted; post a correcting transaction instead', closed;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_with_their_transaction AFTER INSERT ON billing.entries REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_entries();

-- The books as they stood: every posting that was known before `posted_before` and true before `effective_before`.
CREATE FUNCTION billing.balances(posted_before timestamptz, effective_before timestamptz)
RETURNS TABLE (account text, currency text, balance_micros bigint) LANGUAGE sql STABLE AS $$
    SELECT e.account, t.currency, sum(e.amount_micros)::bigint
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
    WHERE t.posted_at < posted_before AND t.effective_at <= effective_before
    GROUP BY e.account, t.currency
$$;

SELECT billing.make_append_only(ARRAY['transactions', 'entries']);
