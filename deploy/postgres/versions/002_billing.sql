-- The catalogue (whose video it is, at what rate) and the ledger. Nothing here is ever changed or removed.

CREATE SCHEMA billing;

CREATE TABLE billing.catalogue_versions (
    catalogue_version bigint PRIMARY KEY CHECK (catalogue_version > 0),
    content_hash      text NOT NULL,        -- differs from the version before; an older content may come back
    source            text NOT NULL,
    imported_at       timestamptz NOT NULL DEFAULT now(),
    imported_by       xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE TABLE billing.payees (
    catalogue_version bigint NOT NULL REFERENCES billing.catalogue_versions,
    payee_id          text NOT NULL,
    name              text NOT NULL,
    user_id           text,                 -- the payee's own viewer pseudonym; never the raw id
    PRIMARY KEY (catalogue_version, payee_id)
);

CREATE TABLE billing.videos (
    catalogue_version bigint NOT NULL,
    video_id          text NOT NULL,
    payee_id          text NOT NULL,
    length_seconds    integer CHECK (length_seconds > 0),
    PRIMARY KEY (catalogue_version, video_id),
    FOREIGN KEY (catalogue_version, payee_id) REFERENCES billing.payees
);

-- An imported catalogue is closed: payees and videos join only inside the database transaction that imports it.
CREATE FUNCTION billing.refuse_late_catalogue_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM arrived WHERE NOT EXISTS (
                   SELECT 1 FROM billing.catalogue_versions v
                   WHERE v.catalogue_version = arrived.catalogue_version AND v.imported_by = pg_current_xact_id())) THEN
        RAISE EXCEPTION 'billing.%: the catalogue version is already imported; import a new one', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER payees_with_their_catalogue AFTER INSERT ON billing.payees REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_catalogue_rows();
CREATE TRIGGER videos_with_their_catalogue AFTER INSERT ON billing.videos REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_catalogue_rows();

CREATE TABLE billing.rate_cards (
    contract_version  bigint PRIMARY KEY CHECK (contract_version > 0),
    content_hash      text NOT NULL,
    document          jsonb NOT NULL,
    imported_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE billing.runs (
    run_id            text PRIMARY KEY,
    period_start_on   date NOT NULL,
    period_end_on     date NOT NULL CHECK (period_end_on > period_start_on),
    batch_version     bigint NOT NULL REFERENCES published.versions (version),
    catalogue_version bigint NOT NULL REFERENCES billing.catalogue_versions,
    contract_version  bigint NOT NULL REFERENCES billing.rate_cards,
    waived            jsonb NOT NULL DEFAULT '{}',   -- kind of precondition -> who waived it
    unattributed_views bigint NOT NULL DEFAULT 0     -- billable, but of videos without a payee: paid to nobody
                      CHECK (unattributed_views = 0 OR waived ? 'unattributed'),
    calculated_at     timestamptz NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX runs_by_period ON billing.runs (period_start_on, period_end_on);

-- One writer at a time, so that what a run reads stays true until it commits. Also taken by the clients, first of all.
CREATE FUNCTION billing.lock_ledger() RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('viewledger.billing.ledger'));
$$;

-- Two different periods that share a day would pay the same views twice.
CREATE FUNCTION billing.refuse_overlapping_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.lock_ledger();
    IF EXISTS (SELECT 1 FROM billing.runs
               WHERE period_start_on < NEW.period_end_on AND NEW.period_start_on < period_end_on
                 AND (period_start_on, period_end_on) <> (NEW.period_start_on, NEW.period_end_on)) THEN
        RAISE EXCEPTION 'period %/% shares days with another billed period', NEW.period_start_on, NEW.period_end_on;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER runs_do_not_overlap BEFORE INSERT ON billing.runs
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_overlapping_period();

CREATE TABLE billing.transactions (
    transaction_id    text PRIMARY KEY,
    idempotency_key   text NOT NULL UNIQUE,  -- period and payee: a period is billed once
    inputs_hash       text NOT NULL,         -- same key with other inputs is a conflict, not a replay
    run_id            text NOT NULL REFERENCES billing.runs,
    payee_id          text NOT NULL,
    payee_sequence    bigint NOT NULL CHECK (payee_sequence > 0),   -- the chain along which the remainder is carried
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    carried_nanomicros_before integer NOT NULL CHECK (carried_nanomicros_before BETWEEN 0 AND 999999999),
    carried_nanomicros_after  integer NOT NULL CHECK (carried_nanomicros_after BETWEEN 0 AND 999999999),
    over_cap_micros   bigint NOT NULL DEFAULT 0 CHECK (over_cap_micros >= 0),   -- what the contract's cap took away
    outcomes          jsonb NOT NULL DEFAULT '{}',  -- outcome -> events of the payee's videos in the period
    effective_at      timestamptz NOT NULL,
    posted_at         timestamptz NOT NULL DEFAULT now(),
    posted_by         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (payee_id, currency, payee_sequence)
);
CREATE INDEX transactions_by_run ON billing.transactions (run_id);

-- What a transaction carries in is what the one before it carried out; the first carries in nothing.
CREATE FUNCTION billing.check_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    carried integer;
BEGIN
    NEW.posted_at := now();  -- stamped here, whatever the client says
    NEW.posted_by := pg_current_xact_id();
    IF NEW.payee_sequence = 1 THEN
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
    account        text NOT NULL CHECK (account <> ''),
    amount_micros  bigint NOT NULL,          -- debit positive, credit negative
    PRIMARY KEY (transaction_id, entry_index)
);

-- One row per rated line: what was paid for, at what rate, and the proof of which events it paid.
CREATE TABLE billing.payment_audit (
    transaction_id  text NOT NULL REFERENCES billing.transactions,
    line_index      integer NOT NULL CHECK (line_index >= 0),
    video_id        text NOT NULL,
    owned_from_on   date NOT NULL,           -- the ownership interval [from, to); 0001-01-01 = since ever
    owned_to_on     date NOT NULL CHECK (owned_to_on > owned_from_on),   -- 9999-12-31 = without end
    share_ppm       integer NOT NULL CHECK (share_ppm BETWEEN 1 AND 1000000),   -- the payee's share of the video
    effective_from_on date NOT NULL,         -- first day of the rate card that was applied
    country         text NOT NULL,           -- the rate's country, or '*' for the default rate
    kind            text NOT NULL CHECK (kind = 'views' OR kind LIKE 'ads:_%'),
    tier_index      integer NOT NULL CHECK (tier_index >= 0),
    event_start     bigint NOT NULL CHECK (event_start >= 0),    -- the slice [start, end) of the group's sorted event ids
    event_end       bigint NOT NULL CHECK (event_end >= event_start),
    quantity        bigint NOT NULL CHECK (quantity >= 0),       -- views, or ad views
    rate_per_thousand_micros bigint NOT NULL CHECK (rate_per_thousand_micros >= 0),
    amount_micros   bigint NOT NULL CHECK (amount_micros >= 0),
    carried_nanomicros integer NOT NULL CHECK (carried_nanomicros BETWEEN 0 AND 999999999),   -- on from this line
    currency        text NOT NULL,
    period_start_on date NOT NULL,
    period_end_on   date NOT NULL,
    calculated_at   timestamptz NOT NULL,
    batch_version   bigint NOT NULL,
    policy_version  integer NOT NULL,
    catalogue_version bigint NOT NULL,
    contract_version bigint NOT NULL,
    settled_views   bigint NOT NULL,
    provisional_views bigint NOT NULL CHECK (provisional_views = 0),
    evidence_root   text NOT NULL CHECK (evidence_root ~ '^[0-9a-f]{64}$'),
    CHECK (kind <> 'views' OR quantity = event_end - event_start),
    CHECK (settled_views >= event_end),
    UNIQUE (transaction_id, video_id, owned_from_on, effective_from_on, country, policy_version, kind, tier_index),
    PRIMARY KEY (transaction_id, line_index)
);

CREATE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'billing.% is append-only: post a correcting transaction instead', TG_TABLE_NAME;
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['catalogue_versions', 'payees', 'videos', 'rate_cards', 'runs',
                                'transactions', 'entries', 'payment_audit'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON billing.%I
                        FOR EACH ROW EXECUTE FUNCTION billing.refuse_change()', name || '_append_only', name);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON billing.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', name || '_no_truncate', name);
    END LOOP;
END $$;

-- Checked at commit, when all entries and lines of a transaction are there.
CREATE FUNCTION billing.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry_count integer;
    total numeric;
BEGIN
    SELECT count(*), coalesce(sum(amount_micros), 0) INTO entry_count, total
    FROM billing.entries WHERE transaction_id = NEW.transaction_id;
    IF entry_count < 2 THEN
        RAISE EXCEPTION 'transaction % has % entries; double entry needs at least 2', NEW.transaction_id, entry_count;
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'transaction % does not sum to zero: % micros over', NEW.transaction_id, total;
    END IF;
    RETURN NULL;
END $$;

-- Every line: amount x 10^9 + carried on = rate x quantity x share + carried in, exactly; and what the lines pay is
-- what is earned (payable and withheld tax) and what the cap took.
CREATE FUNCTION billing.check_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong integer;
    paid numeric;
    earned numeric;
    carried integer;
BEGIN
    SELECT coalesce(sum(amount_micros), 0), min(line_index) FILTER (WHERE amount_micros * 1000000000::numeric
               + carried_nanomicros <> rate_per_thousand_micros::numeric * quantity * share_ppm + carried_in),
           coalesce((array_agg(carried_nanomicros ORDER BY line_index DESC))[1], NEW.carried_nanomicros_before)
    INTO paid, wrong, carried
    FROM (SELECT *, lag(carried_nanomicros, 1, NEW.carried_nanomicros_before) OVER (ORDER BY line_index) AS carried_in
          FROM billing.payment_audit WHERE transaction_id = NEW.transaction_id) AS lines;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transaction %: line % does not pay what it is worth', NEW.transaction_id, wrong;
    END IF;
    IF carried <> NEW.carried_nanomicros_after THEN
        RAISE EXCEPTION 'transaction %: its lines carry % nano-micros on, and it says %',
            NEW.transaction_id, carried, NEW.carried_nanomicros_after;
    END IF;
    SELECT coalesce(-sum(amount_micros), 0) INTO earned FROM billing.entries
    WHERE transaction_id = NEW.transaction_id
      AND (account = 'payable:' || NEW.payee_id OR account LIKE 'withheld-tax:%');
    IF paid <> earned + NEW.over_cap_micros THEN
        RAISE EXCEPTION 'transaction % pays % micros in its lines and % in its entries',
            NEW.transaction_id, paid, earned + NEW.over_cap_micros;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER transactions_lines AFTER INSERT ON billing.transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.check_lines();
CREATE CONSTRAINT TRIGGER transactions_balance AFTER INSERT ON billing.transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.check_balance();
CREATE CONSTRAINT TRIGGER entries_balance AFTER INSERT ON billing.entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.check_balance();

-- A posted transaction is closed: entries join only inside the database transaction that posts it.
CREATE FUNCTION billing.refuse_late_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed text;
BEGIN
    SELECT arrived.transaction_id INTO closed
    FROM (SELECT DISTINCT transaction_id FROM arrived) AS arrived
    LEFT JOIN billing.transactions AS posted USING (transaction_id)
    WHERE posted.posted_by IS DISTINCT FROM pg_current_xact_id() LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % is already posted; post a correcting transaction instead', closed;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER entries_with_their_transaction AFTER INSERT ON billing.entries REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_entries();
CREATE TRIGGER audit_with_its_transaction AFTER INSERT ON billing.payment_audit REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_entries();
