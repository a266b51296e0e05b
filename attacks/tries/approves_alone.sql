-- approves a statement
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('statement', ':waiting_statement', 2, 'in_review', 'approved', 'somebody else');

-- approves it as the run
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('statement', ':waiting_statement', 2, 'in_review', 'approved', 'run');

-- approves it in a role
SET ROLE viewledger_billing;
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('statement', ':waiting_statement', 2, 'in_review', 'approved', 'somebody else');

-- approves a payout batch
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('payout_batch', ':batch', 1, 'made', 'approved', 'somebody else');

-- writes a batch that nobody approved
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('payout_batch', ':batch', 1, 'made', 'written', 'somebody else');

-- takes two steps at once
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('payout_batch', ':batch', 1, 'made', 'approved', 'a');
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('payout_batch', ':batch', 2, 'approved', 'written', 'b');

-- releases its own hold
INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at)
    VALUES ('forged', 'ann', 'USD', 1, '9999-01-01');
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('hold', 'forged', 0, 'open', 'released', 'somebody else');
