-- Payouts: to which bank account, how much of whose balance, in which file. What became of each is in billing.transitions
-- (kind payout), the money in billing.transactions.

CREATE TABLE billing.bank_accounts (
    payee_id        text NOT NULL,
    account_version integer NOT NULL CHECK (account_version > 0),   -- the newest is in force
    holder_name     text NOT NULL CHECK (btrim(holder_name) <> ''),
    iban            text NOT NULL CHECK (iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$'),
    bic             text CHECK (bic ~ '^[A-Z0-9]{8}([A-Z0-9]{3})?$'),
    actor           text NOT NULL CHECK (btrim(actor) <> ''),
    imported_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (payee_id, account_version)
);
COMMENT ON TABLE billing.bank_accounts IS 'Bank data of payees: read by billing and the auditor alone, never shown whole.';

CREATE TABLE billing.payout_batches (
    batch_id     text PRIMARY KEY CHECK (batch_id ~ '^[A-Z0-9-]{1,35}$'),   -- the message id of the file
    currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    execution_on date NOT NULL,
    actor        text NOT NULL CHECK (btrim(actor) <> ''),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE TABLE billing.payout_items (
    item_id         text PRIMARY KEY CHECK (item_id ~ '^[0-9a-f]{32}$'),    -- the end-to-end id in the file
    batch_id        text NOT NULL REFERENCES billing.payout_batches,
    payee_id        text NOT NULL,
    account_version integer NOT NULL,
    amount_micros   bigint NOT NULL CHECK (amount_micros > 0),
    UNIQUE (batch_id, payee_id),
    FOREIGN KEY (payee_id, account_version) REFERENCES billing.bank_accounts
);

-- A batch is closed: its file is the same however often it is written.
CREATE FUNCTION billing.refuse_late_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM arrived JOIN billing.payout_batches b USING (batch_id)
               WHERE b.created_by <> pg_current_xact_id()) THEN
        RAISE EXCEPTION 'the payout batch is already made; what is still owed goes into a new one';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER items_with_their_batch AFTER INSERT ON billing.payout_items REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_items();

-- Amounts that are owed and not to be paid yet; what became of each is in billing.transitions (kind hold).
CREATE TABLE billing.holds (
    hold_id       text PRIMARY KEY,
    payee_id      text NOT NULL,
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    expires_at    timestamptz NOT NULL,      -- from then on it keeps nothing back, whether or not it is marked expired
    placed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (expires_at > placed_at)
);
CREATE INDEX holds_by_payee ON billing.holds (payee_id);

-- What a payee objects to; what became of it is in billing.transitions (kind appeal).
CREATE TABLE billing.appeals (
    appeal_id   text PRIMARY KEY,
    payee_id    text NOT NULL,
    statement_id text NOT NULL REFERENCES billing.statements,
    objection   text NOT NULL CHECK (length(objection) BETWEEN 1 AND 2000),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX appeals_by_payee ON billing.appeals (payee_id);

-- What an open period comes to so far. No money: replaced every night, and the one table here that is.
CREATE TABLE billing.estimates (
    period_start_on date NOT NULL,
    period_end_on   date NOT NULL,
    payee_id        text NOT NULL,
    currency        text NOT NULL,
    earned_micros   bigint NOT NULL,
    billable_views  bigint NOT NULL,
    batch_version   bigint NOT NULL,
    estimated_at    timestamptz NOT NULL,
    PRIMARY KEY (period_start_on, period_end_on, payee_id)
);

SELECT billing.make_append_only(ARRAY['bank_accounts', 'payout_batches', 'payout_items', 'holds', 'appeals']);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['bank_accounts', 'payout_batches', 'payout_items', 'holds', 'appeals', 'estimates'] LOOP
        EXECUTE format('ALTER TABLE billing.%I OWNER TO viewledger_owner', name);
        EXECUTE format('GRANT SELECT ON billing.%I TO viewledger_auditor, viewledger_billing', name);
        EXECUTE format('GRANT INSERT ON billing.%I TO viewledger_billing', name);
    END LOOP;
END $$;
ALTER FUNCTION billing.refuse_late_items() OWNER TO viewledger_owner;
GRANT SELECT ON billing.payout_batches, billing.payout_items, billing.holds, billing.appeals, billing.estimates
    TO viewledger_approver, viewledger_api;
GRANT DELETE ON billing.estimates TO viewledger_billing;
GRANT INSERT ON billing.appeals TO viewledger_api;
GRANT INSERT ON billing.holds TO viewledger_approver;
