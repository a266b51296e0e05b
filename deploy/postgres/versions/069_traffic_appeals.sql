-- A payee objects to what is not counted, or is under review, of one day and class: that is what payees are shown. Who decides on
-- traffic answers, by a text or by a decision on a group of that day and class. Both are rows for good.

CREATE TABLE billing.traffic_appeals (
    appeal_id     text PRIMARY KEY CHECK (appeal_id ~ '^[0-9a-f]{16}$'),
    payee_id      text NOT NULL CHECK (btrim(payee_id) <> '' AND length(payee_id) <= 200),
    event_day     date NOT NULL CONSTRAINT traffic_appeals_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31'),
    invalid_class text NOT NULL CHECK (invalid_class IN ('robot', 'contradiction', 'impossible', 'coordinated', 'unnatural',
                                                         'origin')),
    objection     text NOT NULL CHECK (btrim(objection) <> '' AND length(objection) <= 2000),
    actor         text NOT NULL CHECK (btrim(actor) <> '' AND length(actor) <= 500),
    received_at   timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT traffic_appeals_received_at_readable CHECK (received_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE billing.traffic_appeals IS
    'Append-only: what payees object to in the traffic of a day and class; answered in traffic_appeal_answers.';
CREATE INDEX ON billing.traffic_appeals (payee_id, event_day, invalid_class);

CREATE TABLE billing.traffic_appeal_answers (
    appeal_id   text PRIMARY KEY REFERENCES billing.traffic_appeals,
    outcome     text CHECK (outcome IN ('released', 'confirmed')),
    answer      text NOT NULL CHECK (btrim(answer) <> '' AND length(answer) <= 2000),
    actor       text NOT NULL CHECK (btrim(actor) <> '' AND length(actor) <= 500),
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT traffic_appeal_answers_answered_at_readable
        CHECK (answered_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE billing.traffic_appeal_answers IS 'Append-only: the one answer to an appeal, in words that the payee reads.';
COMMENT ON COLUMN billing.traffic_appeal_answers.outcome IS 'What was decided on a group of the day and class; null: a text alone.';

ALTER TABLE billing.traffic_appeals OWNER TO viewledger_owner;
ALTER TABLE billing.traffic_appeal_answers OWNER TO viewledger_owner;
SELECT billing.make_append_only(ARRAY['traffic_appeals', 'traffic_appeal_answers']);
SELECT billing.make_stamped(ARRAY['traffic_appeals', 'traffic_appeal_answers']);

CREATE FUNCTION billing.check_traffic_appeal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE open_appeal text;
BEGIN
    NEW.received_at := clock_timestamp();
    -- of two that come at once, one waits here for the other
    PERFORM pg_advisory_xact_lock(hashtextextended('viewledger.traffic_appeal ' || NEW.payee_id, 0));
    SELECT a.appeal_id INTO open_appeal FROM billing.traffic_appeals a
    WHERE (a.payee_id, a.event_day, a.invalid_class) = (NEW.payee_id, NEW.event_day, NEW.invalid_class)
      AND NOT EXISTS (SELECT FROM billing.traffic_appeal_answers w WHERE w.appeal_id = a.appeal_id);
    IF open_appeal IS NOT NULL THEN
        RAISE EXCEPTION 'the class % of % has an open appeal already (%); file a new one after that is answered',
            NEW.invalid_class, NEW.event_day, open_appeal USING ERRCODE = 'VL214';
    END IF;
    RETURN NEW;
END $$;
ALTER FUNCTION billing.check_traffic_appeal() OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.check_traffic_appeal() FROM PUBLIC;
CREATE TRIGGER checked_appeal BEFORE INSERT ON billing.traffic_appeals
    FOR EACH ROW EXECUTE FUNCTION billing.check_traffic_appeal();

CREATE FUNCTION billing.check_traffic_answer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.answered_at := clock_timestamp();
    PERFORM billing.refuse_own_traffic(a.payee_id, NEW.actor) FROM billing.traffic_appeals a WHERE a.appeal_id = NEW.appeal_id;
    RETURN NEW;
END $$;
ALTER FUNCTION billing.check_traffic_answer() OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.check_traffic_answer() FROM PUBLIC;
CREATE TRIGGER checked_answer BEFORE INSERT ON billing.traffic_appeal_answers
    FOR EACH ROW EXECUTE FUNCTION billing.check_traffic_answer();

CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.traffic_appeals REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('traffic_appeal', 'appeal_id');
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.traffic_appeal_answers REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('traffic_appeal_answer', 'appeal_id');

GRANT INSERT (appeal_id, payee_id, event_day, invalid_class, objection, actor) ON billing.traffic_appeals TO viewledger_billing;
GRANT INSERT (appeal_id, outcome, answer, actor) ON billing.traffic_appeal_answers TO viewledger_reviewer;
GRANT SELECT ON billing.traffic_appeals, billing.traffic_appeal_answers
    TO viewledger_api, viewledger_billing, viewledger_reviewer, viewledger_approver, viewledger_auditor;
