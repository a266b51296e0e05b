-- raises the limit
INSERT INTO billing.approval_limits (currency, limit_micros, actor, reason)
    VALUES ('*', 1000000000000, 'a', 'b');

-- changes the limit
UPDATE billing.approval_limits SET limit_micros = 1000000000000;

-- changes the limit of its run
UPDATE billing.runs SET approval_limit_micros = 10 ^ 15 WHERE run_id = ':run';

-- removes the limits
DELETE FROM billing.approval_limits;

-- allows another step
UPDATE billing.allowed_transitions SET roles = '{viewledger_billing}';

-- adds a step
INSERT INTO billing.allowed_transitions
    VALUES ('statement', 'in_review', 'paid', '{viewledger_billing}');
