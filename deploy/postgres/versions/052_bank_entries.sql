-- What the bank's own statements (camt.053, camt.054) booked on the account that pays. Each movement is in the ledger: as a
-- payment that is settled or returned, as a fee, or in suspense:bank until somebody knows what it was.

CREATE TABLE billing.bank_entries (
    entry_id       text PRIMARY KEY CHECK (entry_id ~ '^[0-9a-f]{32}$'),   -- follows from what the bank booked, so a repetition is known
    account        text NOT NULL CHECK (account ~ '^[A-Z]{2}…[A-Z0-9]{4}$'),
    statement      text NOT NULL CHECK (btrim(statement) <> '' AND length(statement) <= 35),
    reference      text NOT NULL CHECK (btrim(reference) <> '' AND length(reference) <= 35),   -- the bank's own, of the entry
    booked_on      date NOT NULL CONSTRAINT bank_entries_booked_on_readable CHECK (booked_on BETWEEN '2000-01-01' AND '9999-12-31'),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_micros  bigint NOT NULL CHECK (amount_micros <> 0),             -- what the account gained; negative: what left it
    charges_micros bigint NOT NULL DEFAULT 0 CHECK (charges_micros >= 0),  -- of that, what the bank kept for itself
    item_id        text REFERENCES billing.payout_items,                   -- the payment that the bank names
    purpose        text NOT NULL CHECK (purpose IN ('settles', 'returns', 'fee', 'unknown', 'named')),
    reason         text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    named_id       text REFERENCES billing.bank_entries,                   -- the total that this row takes out of suspense
    actor          text NOT NULL CHECK (btrim(actor) <> ''),
    imported_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (purpose NOT IN ('settles', 'returns') OR item_id IS NOT NULL),
    CHECK (purpose IN ('settles', 'returns') OR charges_micros = 0),
    CHECK ((purpose = 'named') = (named_id IS NOT NULL))
);
COMMENT ON TABLE billing.bank_entries IS 'Append-only: what the bank booked on the account that pays, and what it is for.';
COMMENT ON COLUMN billing.bank_entries.purpose IS
    'settles or returns the payment; fee: kept by the bank; unknown: in suspense; named: takes an unknown total out of suspense, '
    'because its payments are booked one by one.';
CREATE UNIQUE INDEX bank_entries_settle_once ON billing.bank_entries (item_id) WHERE purpose = 'settles';
CREATE UNIQUE INDEX bank_entries_return_once ON billing.bank_entries (item_id) WHERE purpose = 'returns';
CREATE UNIQUE INDEX bank_entries_named_once ON billing.bank_entries (named_id) WHERE purpose = 'named';
CREATE INDEX bank_entries_by_reference ON billing.bank_entries (account, reference);
CREATE INDEX bank_entries_by_item ON billing.bank_entries (item_id);

SELECT billing.make_append_only(ARRAY['bank_entries']);
SELECT billing.make_stamped(ARRAY['bank_entries']);
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.bank_entries REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('bank_entry', 'entry_id');

ALTER TABLE billing.transactions DROP CONSTRAINT transactions_kind_check;
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_kind_check
    CHECK (kind IN ('statement', 'suspense', 'reversal', 'payout', 'payout_settled', 'payout_rejected', 'payout_returned',
                    'payout_voided', 'hold_voided', 'bank_fee', 'bank_unknown'));
ALTER TABLE billing.entries DROP CONSTRAINT entries_account_check;
ALTER TABLE billing.entries ADD CONSTRAINT entries_account_check CHECK (account ~
    '^(expense:creator-revenue|expense:bank-fees|payable:.+|suspense:unattributed|suspense:bank|withheld-tax:..|clearing:payouts|bank)$');

CREATE VIEW billing.due_of_bank_entries AS
SELECT own.kind, e.entry_id AS subject_id, 'suspense:bank' AS payee_id, e.currency,
       e.booked_on::timestamp AT TIME ZONE 'UTC' AS effective_from, e.booked_on::timestamp AT TIME ZONE 'UTC' AS effective_until,
       NULL AS undoes,
       ARRAY[own.account, 'bank'] AS accounts,
       ARRAY[own.amount_micros, -own.amount_micros] AS amounts,
       NULL::integer AS carries
FROM billing.bank_entries e
CROSS JOIN LATERAL (SELECT CASE WHEN e.purpose IN ('unknown', 'named') THEN 'bank_unknown' ELSE 'bank_fee' END AS kind,
                           CASE WHEN e.purpose IN ('unknown', 'named') THEN 'suspense:bank' ELSE 'expense:bank-fees' END AS account,
                           CASE WHEN e.purpose IN ('settles', 'returns') THEN e.charges_micros ELSE -e.amount_micros END
                               AS amount_micros) AS own
WHERE own.amount_micros <> 0;

CREATE OR REPLACE VIEW billing.due_postings AS
SELECT * FROM billing.due_of_statements
UNION ALL SELECT * FROM billing.due_of_payments
UNION ALL SELECT * FROM billing.due_of_holds
UNION ALL SELECT * FROM billing.due_of_bank_entries;

-- Checked at commit: a movement is in the ledger, and one that settles or returns a payment is of it, to the micro.
CREATE FUNCTION billing.check_bank_entry() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE wrong text;
BEGIN
    IF NEW.purpose IN ('settles', 'returns') THEN
        SELECT CASE
            WHEN NEW.currency <> b.currency OR NEW.amount_micros + NEW.charges_micros
                 <> CASE NEW.purpose WHEN 'settles' THEN -i.amount_micros ELSE i.amount_micros END
                THEN format('the payment is of %s micros %s', i.amount_micros, b.currency)
            WHEN NOT EXISTS (SELECT FROM billing.transitions t WHERE t.subject_kind = 'payout' AND t.subject_id = NEW.item_id
                             AND t.to_state = CASE NEW.purpose WHEN 'settles' THEN 'settled' ELSE 'returned' END)
                THEN 'the payment has no such step' END
        INTO wrong FROM billing.payout_items i JOIN billing.payout_batches b USING (batch_id) WHERE i.item_id = NEW.item_id;
    ELSIF NEW.purpose = 'named' AND NOT EXISTS (
            SELECT FROM billing.bank_entries e WHERE e.entry_id = NEW.named_id AND e.purpose = 'unknown' AND e.item_id IS NULL
            AND e.account = NEW.account AND e.reference = NEW.reference AND e.currency = NEW.currency
            AND e.amount_micros = -NEW.amount_micros) THEN
        wrong := 'no total of this account, reference and amount is in suspense';
    END IF;
    IF wrong IS NULL AND EXISTS (
            SELECT FROM billing.due_of_bank_entries d WHERE d.subject_id = NEW.entry_id AND NOT EXISTS (
                SELECT FROM billing.transactions t WHERE t.idempotency_key = d.kind || ':' || d.subject_id)) THEN
        wrong := 'its transaction is not posted; post it in the same database transaction';
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'bank entry % (% micros %, %) of payment %: %', NEW.entry_id, NEW.amount_micros, NEW.currency, NEW.purpose,
            coalesce(NEW.item_id, 'none'), wrong USING ERRCODE = 'VL413';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER bank_entries_are_posted AFTER INSERT ON billing.bank_entries DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing.check_bank_entry();

DO $$
DECLARE name text;
BEGIN
    ALTER TABLE billing.bank_entries OWNER TO viewledger_owner;
    ALTER VIEW billing.due_of_bank_entries OWNER TO viewledger_owner;
    ALTER FUNCTION billing.check_bank_entry() OWNER TO viewledger_owner;
    REVOKE EXECUTE ON FUNCTION billing.check_bank_entry() FROM PUBLIC;
    GRANT SELECT ON billing.bank_entries, billing.due_of_bank_entries
        TO viewledger_billing, viewledger_approver, viewledger_auditor;
    GRANT INSERT (entry_id, account, statement, reference, booked_on, currency, amount_micros, charges_micros, item_id, purpose,
                  reason, named_id, actor) ON billing.bank_entries TO viewledger_billing;
END $$;
