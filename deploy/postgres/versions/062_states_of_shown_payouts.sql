-- `current_states` finds the newest step of every subject before a join can choose among them, so one payee's page computed the
-- states of all payments ever made. Here each payment asks for its own newest step, by the primary key.

CREATE OR REPLACE VIEW billing.shown_payouts AS
    SELECT i.payee_id, i.item_id, i.batch_id, b.currency, i.amount_micros, b.execution_on,
           left(a.iban, 2) || '…' || right(a.iban, 4) AS account, c.state, of_batch.state AS batch_state, e.booked_on
    FROM billing.payout_items i
    JOIN billing.payout_batches b USING (batch_id)
    JOIN billing.bank_accounts a USING (payee_id, account_version)
    JOIN LATERAL (SELECT t.to_state AS state FROM billing.transitions t
                  WHERE t.subject_kind = 'payout' AND t.subject_id = i.item_id
                  ORDER BY t.transition_index DESC LIMIT 1) c ON true
    JOIN LATERAL (SELECT t.to_state AS state FROM billing.transitions t
                  WHERE t.subject_kind = 'payout_batch' AND t.subject_id = i.batch_id
                  ORDER BY t.transition_index DESC LIMIT 1) of_batch ON true
    LEFT JOIN billing.bank_entries e ON e.item_id = i.item_id AND e.purpose = 'settles';
