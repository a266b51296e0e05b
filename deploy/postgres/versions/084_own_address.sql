-- A payee sees where notices go, masked as who decides on an account sees it.

CREATE OR REPLACE VIEW billing.shown_account_changes AS
    SELECT a.payee_id, a.account_version, left(a.iban, 2) || '…' || right(a.iban, 4) AS account, a.holder_name,
           a.imported_at AS asked_at, c.to_state AS state, c.moved_at, c.reason,
           c.to_state = 'in_force' AND NOT EXISTS (
               SELECT FROM billing.bank_accounts_in_force f
               WHERE f.payee_id = a.payee_id AND f.account_version = a.account_version) AS is_replaced,
           left(a.email, 1) || '…' || substr(a.email, strpos(a.email, '@')) AS address
    FROM billing.bank_accounts a
    JOIN LATERAL (SELECT t.to_state, t.moved_at, t.reason FROM billing.transitions t
                  WHERE t.subject_kind = 'bank_account' AND t.subject_id = a.payee_id || ':' || a.account_version
                  ORDER BY t.transition_index DESC LIMIT 1) c ON true;
