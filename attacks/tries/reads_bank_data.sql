-- reads bank accounts
SELECT iban FROM billing.bank_accounts;

-- reads them by a view
SELECT to_jsonb(a) FROM billing.bank_accounts AS a;

-- reads them by a join
SELECT holder_name FROM billing.payout_items JOIN billing.bank_accounts USING (payee_id);
