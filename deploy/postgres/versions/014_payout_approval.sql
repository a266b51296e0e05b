-- A payout batch is made by one person and approved by another before its file can be written; until then it can be voided.

INSERT INTO billing.allowed_transitions VALUES
    ('payout_batch', 'open',     'made'),
    ('payout_batch', 'made',     'approved'),
    ('payout_batch', 'made',     'voided'),
    ('payout_batch', 'approved', 'written'),
    ('payout_batch', 'approved', 'voided'),
    ('payout',       'instructed', 'voided');

ALTER TABLE billing.transactions DROP CONSTRAINT transactions_kind_check;
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_kind_check
    CHECK (kind IN ('statement', 'reversal', 'payout', 'payout_settled', 'payout_rejected', 'payout_returned',
                    'payout_voided', 'hold_voided'));
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_voided_check
    CHECK (kind <> 'payout_voided' OR reverses IS NOT NULL);

-- Batches from before: their files may be at the bank, so that they count as written and can never be voided.
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
SELECT 'payout_batch', batch_id, step.index, step.from_state, step.to_state,
       CASE step.index WHEN 0 THEN b.actor ELSE 'migration' END, 'made before payouts needed a second person'
FROM billing.payout_batches b
CROSS JOIN (VALUES (0, 'open', 'made'), (1, 'made', 'approved'), (2, 'approved', 'written')) AS step (index, from_state, to_state)
ORDER BY batch_id, step.index;

-- A transition follows the one before it; whoever runs a statement above the limit, or makes a payout batch, is not who
-- approves it; and what becomes of a payment depends on what became of its batch.
CREATE OR REPLACE FUNCTION billing.check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text;
    runner text;
    above_limit boolean;
    batch text;
    batch_state text;
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
    ELSIF NEW.subject_kind = 'payout_batch' AND NEW.to_state = 'approved' THEN
        SELECT actor INTO runner FROM billing.payout_batches WHERE batch_id = NEW.subject_id;
        IF NEW.actor IN ('run', runner) THEN
            RAISE EXCEPTION 'payout batch % was made by %; somebody else approves it', NEW.subject_id, runner;
        END IF;
        IF current_user = 'viewledger_billing' THEN
            RAISE EXCEPTION 'payout batch % is approved in the role viewledger_approver', NEW.subject_id;
        END IF;
    ELSIF current_user = 'viewledger_approver' AND (
            NEW.subject_kind IN ('payout', 'payout_batch')
            OR NEW.to_state IN ('calculated', 'finalised', 'paid', 'superseded')) THEN
        RAISE EXCEPTION 'the role viewledger_approver does not move a % to %', NEW.subject_kind, NEW.to_state;
    END IF;
    IF NEW.subject_kind = 'payout' AND NEW.to_state IN ('settled', 'rejected', 'voided') THEN
        SELECT batch_id INTO batch FROM billing.payout_items WHERE item_id = NEW.subject_id;
        SELECT to_state INTO batch_state FROM billing.transitions
        WHERE subject_kind = 'payout_batch' AND subject_id = batch ORDER BY transition_index DESC LIMIT 1;
        IF batch IS NOT NULL
           AND batch_state IS DISTINCT FROM (CASE NEW.to_state WHEN 'voided' THEN 'voided' ELSE 'written' END) THEN
            RAISE EXCEPTION 'payment % cannot become %: its batch % is %',
                NEW.subject_id, NEW.to_state, batch, coalesce(batch_state, 'open');
        END IF;
    END IF;
    RETURN NEW;
END $$;
