-- Runs and the statements they calculate: what a payee is owed for a period, line by line, and how far it has come.

CREATE TABLE billing.runs (
    run_id            text PRIMARY KEY,
    kind              text NOT NULL DEFAULT 'bill' CHECK (kind IN ('bill', 'restatement')),
    period_start_on   date NOT NULL,
    period_end_on     date NOT NULL CHECK (period_end_on > period_start_on),
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    restatement_number integer NOT NULL DEFAULT 0 CHECK ((restatement_number > 0) = (kind = 'restatement')),
    cause             text NOT NULL DEFAULT '' CHECK (kind = 'bill' OR btrim(cause) <> ''),
    batch_version     bigint NOT NULL REFERENCES published.versions (version),
    catalogue_version bigint NOT NULL REFERENCES billing.catalogue_versions,
    contract_version  bigint NOT NULL REFERENCES billing.rate_cards,
    waived            jsonb NOT NULL DEFAULT '{}',   -- kind of precondition -> who waived it
    unattributed_views bigint NOT NULL DEFAULT 0     -- billable, but of videos without a payee: paid to nobody
                      CHECK (unattributed_views = 0 OR waived ? 'unattributed'),
    actor             text NOT NULL CHECK (btrim(actor) <> '' AND actor <> 'run'),
    approval_limit_micros bigint NOT NULL,           -- a statement that earns more is approved by somebody else than the actor
    bounds            jsonb NOT NULL DEFAULT '{}',   -- what a statement was held against before it could approve itself
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

-- Lines + over the cap + tax + payable of one payee and period. A later statement of both replaces the one before.
CREATE TABLE billing.statements (
    statement_id      text PRIMARY KEY,
    run_id            text NOT NULL REFERENCES billing.runs,
    payee_id          text NOT NULL,
    period_start_on   date NOT NULL,
    period_end_on     date NOT NULL,
    restatement_number integer NOT NULL CHECK (restatement_number >= 0),   -- 0 is the first of a payee and period
    supersedes        text UNIQUE REFERENCES billing.statements CHECK ((supersedes IS NULL) = (restatement_number = 0)),
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    inputs_hash       text NOT NULL,         -- of everything the amount rests on
    carried_nanomicros_before integer NOT NULL CHECK (carried_nanomicros_before BETWEEN 0 AND 999999999),
    carried_nanomicros_after  integer NOT NULL CHECK (carried_nanomicros_after BETWEEN 0 AND 999999999),
    over_cap_micros   bigint NOT NULL CHECK (over_cap_micros >= 0),   -- what the contract's cap took away
    tax_country       text NOT NULL,
    tax_micros        bigint NOT NULL CHECK (tax_micros >= 0),
    payable_micros    bigint NOT NULL CHECK (payable_micros >= 0),
    billable_views    bigint NOT NULL CHECK (billable_views >= 0),
    line_count        integer NOT NULL CHECK (line_count >= 0),
    outcomes          jsonb NOT NULL DEFAULT '{}',  -- outcome -> events of the payee's videos in the period
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (period_start_on, period_end_on, payee_id, restatement_number)
);
CREATE INDEX statements_by_payee ON billing.statements (payee_id COLLATE "C", period_end_on);
CREATE INDEX statements_by_period ON billing.statements (period_start_on, period_end_on, payee_id COLLATE "C");
CREATE INDEX statements_by_run ON billing.statements (run_id, payee_id COLLATE "C");

CREATE FUNCTION billing.stamp_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := clock_timestamp();  -- stamped here, whatever the client says
    NEW.created_by := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER statements_stamp BEFORE INSERT ON billing.statements
    FOR EACH ROW EXECUTE FUNCTION billing.stamp_statement();

-- One row per rated line: what was paid for, at what rate, and the proof of which events it paid.
CREATE TABLE billing.payment_audit (
    statement_id    text NOT NULL REFERENCES billing.statements,
    line_index      integer NOT NULL CHECK (line_index >= 0),
    video_id        text NOT NULL,
    owned_from_on   date NOT NULL,           -- the days [from, to) of the period on which it was owned like this
    owned_to_on     date NOT NULL CHECK (owned_to_on > owned_from_on),
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
    UNIQUE (statement_id, video_id, owned_from_on, effective_from_on, country, policy_version, kind, tier_index),
    PRIMARY KEY (statement_id, line_index)
);

-- A calculated statement is closed: lines join only inside the database transaction that calculates it, and only as many
-- as it says, so that what was checked stays true.
CREATE FUNCTION billing.refuse_late_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed text;
BEGIN
    SELECT arrived.statement_id INTO closed
    FROM (SELECT statement_id, max(line_index) AS last FROM arrived GROUP BY statement_id) AS arrived
    LEFT JOIN billing.statements AS calculated USING (statement_id)
    WHERE calculated.created_by IS DISTINCT FROM pg_current_xact_id() OR arrived.last >= calculated.line_count LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement % is already calculated; a later one can replace it', closed;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_with_its_statement AFTER INSERT ON billing.payment_audit REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_lines();

-- Checked at commit. Every line: amount x 10^9 + carried on = rate x quantity x share + carried in, exactly; and what
-- the lines pay is what is payable, the withheld tax and what the cap took.
CREATE FUNCTION billing.check_lines() RETURNS trigger LANGUAGE plpgsql AS $$
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
        RAISE EXCEPTION 'statement % has % lines and says %', NEW.statement_id, found, NEW.line_count;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'statement %: line % does not pay what it is worth', NEW.statement_id, wrong;
    END IF;
    IF carried <> NEW.carried_nanomicros_after THEN
        RAISE EXCEPTION 'statement %: its lines carry % nano-micros on, and it says %',
            NEW.statement_id, carried, NEW.carried_nanomicros_after;
    END IF;
    IF paid <> NEW.payable_micros + NEW.tax_micros + NEW.over_cap_micros THEN
        RAISE EXCEPTION 'statement % pays % micros in its lines and % in its sums',
            NEW.statement_id, paid, NEW.payable_micros + NEW.tax_micros + NEW.over_cap_micros;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER statements_lines AFTER INSERT ON billing.statements
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.check_lines();

-- What a payee is told of: a restatement changed what a period came to.
CREATE TABLE billing.notices (
    notice_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payee_id     text NOT NULL,
    statement_id text NOT NULL UNIQUE REFERENCES billing.statements,
    delta_micros bigint NOT NULL,            -- earned now minus earned before, withheld tax included
    noticed_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX notices_by_payee ON billing.notices (payee_id);

SELECT billing.make_append_only(ARRAY['runs', 'statements', 'payment_audit', 'notices']);
