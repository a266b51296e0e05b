-- Decisions about groups of events whose traffic is under review: the events of one payee and day that a rule marked, exactly
-- those, by a hash of their places. A decision makes views billable or removes them, so a role of its own takes it, nobody takes
-- it about a payee of their own, and each is in the journal. The payee of a group owns the largest share of its videos.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'viewledger_reviewer') THEN
        BEGIN
            CREATE ROLE viewledger_reviewer NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
        END;
    END IF;
END $$;

CREATE TABLE billing.traffic_decisions (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_day   date NOT NULL CONSTRAINT traffic_decisions_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31'),
    rule        text NOT NULL CHECK (rule ~ '^[a-z][a-z_]{0,63}$'),
    payee_id    text NOT NULL CHECK (length(payee_id) <= 200),
    event_count bigint NOT NULL CHECK (event_count > 0),
    set_hash    text NOT NULL CHECK (set_hash ~ '^[0-9a-f]{32}$'),
    outcome     text NOT NULL CHECK (outcome IN ('released', 'confirmed')),
    actor       text NOT NULL CHECK (btrim(actor) <> '' AND length(actor) <= 100),
    reason      text NOT NULL CHECK (btrim(reason) <> '' AND length(reason) <= 500),
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT traffic_decisions_decided_at_readable CHECK (decided_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    UNIQUE (event_day, rule, payee_id, event_count, set_hash)
);
COMMENT ON TABLE billing.traffic_decisions IS
    'Append-only: what was decided about a group of events under review. A version names the decisions that it is the first to apply.';
COMMENT ON COLUMN billing.traffic_decisions.payee_id IS 'Empty for events of videos that nobody owned.';
ALTER TABLE billing.traffic_decisions OWNER TO viewledger_owner;

SELECT billing.make_append_only(ARRAY['traffic_decisions']);
SELECT billing.make_stamped(ARRAY['traffic_decisions']);

CREATE FUNCTION billing.check_traffic_decision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.decided_at := clock_timestamp();
    IF lower(NEW.payee_id) IN (lower(btrim(NEW.actor)), lower(session_user::text))
       OR EXISTS (SELECT FROM access.api_keys k WHERE k.payee_id = NEW.payee_id
                  AND k.owner IN (lower(btrim(NEW.actor)), lower(session_user::text))) THEN
        RAISE EXCEPTION 'the traffic of payee % is not for % to decide on; someone else must decide', NEW.payee_id, NEW.actor
            USING ERRCODE = 'VL213';
    END IF;
    RETURN NEW;
END $$;
GRANT USAGE ON SCHEMA access TO viewledger_owner;
GRANT SELECT (owner, payee_id) ON access.api_keys TO viewledger_owner;
ALTER FUNCTION billing.check_traffic_decision() OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.check_traffic_decision() FROM PUBLIC;
CREATE TRIGGER checked_decision BEFORE INSERT ON billing.traffic_decisions
    FOR EACH ROW EXECUTE FUNCTION billing.check_traffic_decision();
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.traffic_decisions REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('traffic_decision', 'decision_id::text');

ALTER TABLE published.versions ADD COLUMN traffic_decisions jsonb
    CHECK (jsonb_typeof(traffic_decisions) = 'array' AND jsonb_array_length(traffic_decisions) > 0);
COMMENT ON COLUMN published.versions.traffic_decisions IS
    '[[day, rule, payee, events, hash, outcome], …]: the decisions applied from this version on, in all later ones too; null: none.';

GRANT USAGE ON SCHEMA billing, published TO viewledger_reviewer;
GRANT INSERT (event_day, rule, payee_id, event_count, set_hash, outcome, actor, reason) ON billing.traffic_decisions
    TO viewledger_reviewer;
GRANT SELECT ON billing.traffic_decisions TO viewledger_reviewer, viewledger_pipeline, viewledger_billing, viewledger_approver,
    viewledger_auditor;
GRANT SELECT ON published.versions, published.pointer TO viewledger_reviewer;
