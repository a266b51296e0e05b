-- For the page of a payee's earnings: payments and accounts with the account masked, as messages show it. The API's login reads
-- no bank data; what these views leave out it cannot reach.

CREATE INDEX payout_items_by_payee ON billing.payout_items (payee_id);

CREATE VIEW billing.shown_payouts AS
    SELECT i.payee_id, i.item_id, i.batch_id, b.currency, i.amount_micros, b.execution_on,
           left(a.iban, 2) || '…' || right(a.iban, 4) AS account, c.state, of_batch.state AS batch_state, e.booked_on
    FROM billing.payout_items i
    JOIN billing.payout_batches b USING (batch_id)
    JOIN billing.bank_accounts a USING (payee_id, account_version)
    JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = i.item_id
    JOIN billing.current_states of_batch ON of_batch.subject_kind = 'payout_batch' AND of_batch.subject_id = i.batch_id
    LEFT JOIN billing.bank_entries e ON e.item_id = i.item_id AND e.purpose = 'settles';
COMMENT ON VIEW billing.shown_payouts IS 'Payments to payees, with the account masked and the day on which the bank booked them.';

CREATE VIEW billing.shown_accounts AS
    SELECT payee_id, left(iban, 2) || '…' || right(iban, 4) AS account FROM billing.bank_accounts_in_force;
COMMENT ON VIEW billing.shown_accounts IS 'The account in force of each payee, masked.';

ALTER VIEW billing.shown_payouts OWNER TO viewledger_owner;
ALTER VIEW billing.shown_accounts OWNER TO viewledger_owner;
GRANT SELECT ON billing.shown_payouts, billing.shown_accounts TO viewledger_api, viewledger_auditor;
