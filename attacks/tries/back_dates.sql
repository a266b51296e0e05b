-- posts into the past
INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at)
    VALUES ('forged', 'ann', 'USD', 5, '9999-01-01');
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('hold', 'forged', 0, 'open', 'pending', 'eve');
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('hold', 'forged', 1, 'pending', 'voided', 'eve');
INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency,
        entry_count, effective_at, posted_at, posted_by)
    SELECT left(encode(sha256('hold_voided:forged'), 'hex'), 32), 'hold_voided:forged', 'x',
        'hold_voided', 'ann', 'USD', 2, '2020-01-01', now(), pg_current_xact_id();
INSERT INTO billing.entries
    SELECT left(encode(sha256('hold_voided:forged'), 'hex'), 32), *
    FROM (VALUES (0, 'payable:ann', 5), (1, 'expense:creator-revenue', -(5))) AS entries;

-- makes a batch of another year
INSERT INTO billing.payout_batches (batch_id, currency, execution_on, actor, created_at, created_by)
    VALUES ('VL-USD-20200101-1', 'USD', '2020-01-01', 'e', now(), pg_current_xact_id());
