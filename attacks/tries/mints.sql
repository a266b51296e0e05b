-- voids a hold that was never placed
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by)
    SELECT left(encode(sha256('hold_voided:none'), 'hex'), 32), 'hold_voided:none', 'x',
        'hold_voided', 'ann', 'USD', 2, now(), now(), pg_current_xact_id();
INSERT INTO billing.entries
    SELECT left(encode(sha256('hold_voided:none'), 'hex'), 32), *
    FROM (VALUES (0, 'payable:ann', -500000000000), (1, 'expense:creator-revenue', -(-500000000000))) AS entries;

-- voids a hold the wrong way
INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at)
    VALUES ('forged', 'ann', 'USD', 5, '9999-01-01');
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('hold', 'forged', 0, 'open', 'pending', 'eve');
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('hold', 'forged', 1, 'pending', 'voided', 'eve');
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by)
    SELECT left(encode(sha256('hold_voided:forged'), 'hex'), 32), 'hold_voided:forged', 'x',
        'hold_voided', 'ann', 'USD', 2, now(), now(), pg_current_xact_id();
INSERT INTO billing.entries
    SELECT left(encode(sha256('hold_voided:forged'), 'hex'), 32), *
    FROM (VALUES (0, 'payable:ann', -500000000000), (1, 'expense:creator-revenue', -(-500000000000))) AS entries;

-- holds more than is owed
INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at)
    VALUES ('forged', 'ann', 'USD', 500000000000, '9999-01-01');

-- rejects a payment that was never made
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by, reverses)
    SELECT left(encode(sha256('payout_rejected:none'), 'hex'), 32), 'payout_rejected:none', 'x',
        'payout_rejected', 'ann', 'USD', 2, now(), now(), pg_current_xact_id(),
        (SELECT transaction_id FROM billing.transactions WHERE reverses IS NULL LIMIT 1);
INSERT INTO billing.entries
    SELECT left(encode(sha256('payout_rejected:none'), 'hex'), 32), *
    FROM (VALUES (0, 'payable:ann', -500000000000), (1, 'clearing:payouts', -(-500000000000))) AS entries;

-- returns a payment that was never made
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by, reverses)
    SELECT left(encode(sha256('payout_returned:none'), 'hex'), 32), 'payout_returned:none', 'x',
        'payout_returned', 'ann', 'USD', 2, now(), now(), pg_current_xact_id(),
        (SELECT transaction_id FROM billing.transactions WHERE reverses IS NULL LIMIT 1);
INSERT INTO billing.entries
    SELECT left(encode(sha256('payout_returned:none'), 'hex'), 32), *
    FROM (VALUES (0, 'payable:ann', -500000000000), (1, 'bank', -(-500000000000))) AS entries;

-- settles a payment that was never made
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by)
    SELECT left(encode(sha256('payout_settled:none'), 'hex'), 32), 'payout_settled:none', 'x',
        'payout_settled', 'ann', 'USD', 2, now(), now(), pg_current_xact_id();
INSERT INTO billing.entries
    SELECT left(encode(sha256('payout_settled:none'), 'hex'), 32), *
    FROM (VALUES (0, 'clearing:payouts', 500000000000), (1, 'bank', -(500000000000))) AS entries;

-- pays what waits for approval
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by, statement_id, payee_sequence, carried_nanomicros_before,
        carried_nanomicros_after)
    SELECT left(encode(sha256('statement:x'), 'hex'), 32), 'statement:x', 'x',
        'statement', 'zoe', 'USD', 2, period_end_on, now(), pg_current_xact_id(), statement_id, 1, 0, 0
    FROM billing.statements WHERE statement_id = ':waiting_statement';
INSERT INTO billing.entries
    SELECT left(encode(sha256('statement:x'), 'hex'), 32), *
    FROM (VALUES (0, 'expense:creator-revenue', 150000), (1, 'payable:zoe', -150000)) AS entries;

-- posts what is nobody's
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by, statement_id, payee_sequence, carried_nanomicros_before,
        carried_nanomicros_after)
    SELECT left(encode(sha256('suspense:x'), 'hex'), 32), 'suspense:x', 'x',
        'suspense', 'suspense:unattributed', 'USD', 2, now(), now(), pg_current_xact_id(), ':waiting_statement', 1, 0, 0;
INSERT INTO billing.entries
    SELECT left(encode(sha256('suspense:x'), 'hex'), 32), *
    FROM (VALUES (0, 'expense:creator-revenue', 500000000000), (1, 'suspense:unattributed', -500000000000)) AS entries;

-- adds entries to what is posted
INSERT INTO billing.entries
    SELECT transaction_id, 7, 'payable:ann', -500000000000
    FROM billing.transactions LIMIT 1;
