-- Where a statement, hold, appeal, payout or late event stands: its newest transition. States are appended, never set.

CREATE TABLE billing.allowed_transitions (
    subject_kind text NOT NULL,
    from_state   text NOT NULL,
    to_state     text NOT NULL,
    PRIMARY KEY (subject_kind, from_state, to_state)
);
COMMENT ON TABLE billing.allowed_transitions IS 'The same table as in billing/states.py; a test holds them together.';

INSERT INTO billing.allowed_transitions
SELECT subject_kind, from_state, unnest(string_to_array(to_states, ' ')) FROM (VALUES
    ('statement', 'open',       'calculated'),
    ('statement', 'calculated', 'in_review approved held voided superseded'),
    ('statement', 'in_review',  'approved held voided superseded'),
    ('statement', 'approved',   'finalised held voided superseded'),
    ('statement', 'finalised',  'paid superseded'),
    ('statement', 'paid',       'superseded'),
    ('statement', 'held',       'in_review voided superseded'),
    ('statement', 'voided',     'superseded'),
    ('hold',      'open',       'pending'),
    ('hold',      'pending',    'released voided expired'),
    ('appeal',    'open',       'received'),
    ('appeal',    'received',   'accepted rejected withdrawn'),
    ('payout',    'open',       'instructed'),
    ('payout',    'instructed', 'settled rejected'),
    ('payout',    'settled',    'returned'),
    ('late_event', 'open',      'accepted rejected')
) AS rows (subject_kind, from_state, to_states);

CREATE TABLE billing.transitions (
    subject_kind     text NOT NULL,
    subject_id       text NOT NULL,
    transition_index integer NOT NULL CHECK (transition_index >= 0),
    from_state       text NOT NULL,
    to_state         text NOT NULL,
    actor            text NOT NULL CHECK (btrim(actor) <> ''),
    reason           text NOT NULL DEFAULT '',
    moved_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_kind, subject_id, transition_index),
    FOREIGN KEY (subject_kind, from_state, to_state) REFERENCES billing.allowed_transitions
);
CREATE INDEX transitions_by_state ON billing.transitions (subject_kind, to_state);

CREATE VIEW billing.current_states AS
    SELECT DISTINCT ON (subject_kind, subject_id) subject_kind, subject_id, transition_index, to_state AS state,
           actor, reason, moved_at
    FROM billing.transitions ORDER BY subject_kind, subject_id, transition_index DESC;

-- A transition follows the one before it; and whoever runs a statement above the limit is not who approves it.
CREATE FUNCTION billing.check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text;
    runner text;
    above_limit boolean;
BEGIN
    NEW.moved_at := clock_timestamp();  -- stamped here, whatever the client says
    IF NEW.transition_index = 0 THEN
        before := 'open';
    ELSE
        SELECT to_state INTO before FROM billing.transitions
        WHERE subject_kind = NEW.subject_kind AND subject_id = NEW.subject_id
          AND transition_index = NEW.transition_index - 1;
    END IF;
    IF before IS DISTINCT FROM NEW.from_state THEN
        RAISE EXCEPTION '% % is %, not %', NEW.subject_kind, NEW.subject_id, coalesce(before, 'nowhere'), NEW.from_state;
    END IF;
    IF NEW.subject_kind = 'statement' AND NEW.to_state = 'approved' THEN
        SELECT r.actor, s.payable_micros + s.tax_micros > r.approval_limit_micros INTO runner, above_limit
        FROM billing.statements s JOIN billing.runs r USING (run_id) WHERE s.statement_id = NEW.subject_id;
        IF above_limit AND NEW.actor IN ('run', runner) THEN
            RAISE EXCEPTION 'statement % is above the approval limit of its run; somebody else than % approves it',
                NEW.subject_id, runner;
        END IF;
        IF NEW.actor <> 'run' AND current_user = 'viewledger_billing' THEN
            RAISE EXCEPTION 'statement % is approved in the role viewledger_approver', NEW.subject_id;
        END IF;
    ELSIF current_user = 'viewledger_approver' AND NEW.to_state IN ('calculated', 'finalised', 'paid', 'superseded') THEN
        RAISE EXCEPTION 'the role viewledger_approver does not move a % to %', NEW.subject_kind, NEW.to_state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER transitions_follow BEFORE INSERT ON billing.transitions
    FOR EACH ROW EXECUTE FUNCTION billing.check_transition();

SELECT billing.make_append_only(ARRAY['allowed_transitions', 'transitions']);
