-- Payees are told by e-mail what became of their money. What there is to tell follows from the steps that the books hold, so that
-- nothing is told that did not happen, and nothing can be forgotten. The address is kept with the account: a change of it waits for
-- a second person, too. An account that is stored without an address keeps the one before, so that no change silences the notices.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'viewledger_notices') THEN
        BEGIN
            CREATE ROLE viewledger_notices NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
        END;
    END IF;
END $$;

ALTER TABLE billing.bank_accounts ADD COLUMN email text
    CONSTRAINT bank_accounts_email_check CHECK (email ~ '^[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}$');
COMMENT ON COLUMN billing.bank_accounts.email IS 'Where its payee gets notices, from when the account is in force; null: nowhere.';

CREATE OR REPLACE VIEW billing.bank_accounts_in_force AS
    SELECT DISTINCT ON (a.payee_id) a.payee_id, a.account_version, a.holder_name, a.iban, a.bic, a.email
    FROM billing.bank_accounts a JOIN billing.transitions t
         ON t.subject_kind = 'bank_account' AND t.subject_id = a.payee_id || ':' || a.account_version AND t.to_state = 'in_force'
    ORDER BY a.payee_id, a.account_version DESC;

-- Who decides on an account sees whether the address changes, and enough of both to ask the payee.
CREATE OR REPLACE VIEW billing.proposals AS
    SELECT s.subject_kind, s.subject_id, s.actor, t.login, s.reason, s.moved_at, a.payee_id,
           a.holder_name, CASE WHEN a.iban IS NOT NULL THEN left(a.iban, 2) || '…' || right(a.iban, 4) END AS account,
           b.holder_name AS holder_before, left(b.iban, 2) || '…' || right(b.iban, 4) AS account_before,
           left(a.email, 1) || '…' || substr(a.email, strpos(a.email, '@')) AS address,
           left(b.email, 1) || '…' || substr(b.email, strpos(b.email, '@')) AS address_before,
           a.email IS DISTINCT FROM b.email AS is_address_new
    FROM billing.current_states s
    JOIN billing.transitions t USING (subject_kind, subject_id, transition_index)
    LEFT JOIN billing.bank_accounts a ON s.subject_kind = 'bank_account' AND s.subject_id = a.payee_id || ':' || a.account_version
    LEFT JOIN billing.bank_accounts_in_force b ON b.payee_id = a.payee_id
    WHERE s.state = 'proposed' AND s.subject_kind IN ('catalogue', 'contract', 'bank_account', 'policy');

CREATE TABLE billing.notice_attempts (
    subject_kind     text NOT NULL,
    subject_id       text NOT NULL,
    transition_index integer NOT NULL,
    payee_id         text NOT NULL,
    account_version  integer NOT NULL,
    attempt_index    integer NOT NULL CHECK (attempt_index >= 0),
    channel          text NOT NULL CHECK (channel IN ('email')),
    error            text CHECK (btrim(error) <> '' AND length(error) <= 500),
    attempted_at     timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT notice_attempts_attempted_at_readable CHECK (attempted_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    PRIMARY KEY (subject_kind, subject_id, transition_index, payee_id, account_version, attempt_index),
    FOREIGN KEY (payee_id, account_version) REFERENCES billing.bank_accounts
);
COMMENT ON TABLE billing.notice_attempts IS 'Append-only: each attempt to send a notice about a step of the books to a payee.';
COMMENT ON COLUMN billing.notice_attempts.transition_index IS 'The number of the step among those of its subject; 0 for an answer.';
COMMENT ON COLUMN billing.notice_attempts.account_version IS 'The account whose address it went to.';
COMMENT ON COLUMN billing.notice_attempts.error IS 'Why the server refused it; null: the server accepted it.';
CREATE UNIQUE INDEX notice_attempts_delivered ON billing.notice_attempts
    (subject_kind, subject_id, transition_index, payee_id, account_version) WHERE error IS NULL;
CREATE TRIGGER number_follows BEFORE INSERT ON billing.notice_attempts
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('attempt_index', '0', 'subject_kind', 'subject_id', 'transition_index',
                                                          'payee_id', 'account_version');
ALTER TABLE billing.notice_attempts OWNER TO viewledger_owner;
SELECT billing.make_append_only(ARRAY['notice_attempts']);
SELECT billing.make_stamped(ARRAY['notice_attempts']);

-- One row for each step and each address that is told of it. The address is that of the account which was in force when the step
-- was taken; of a new account, that of the one before and, if it is another, its own. A step from before its payee had an address
-- is told to nobody.
CREATE VIEW billing.payee_notices AS
    -- each column has its type and its name in every part: a dump restores the view in the same words
    WITH steps AS (
        SELECT t.subject_kind, t.subject_id, t.transition_index, t.moved_at, 'statement_final'::text AS kind, s.payee_id, s.currency,
               s.payable_micros AS amount_micros, s.period_start_on, s.period_end_on
        FROM billing.transitions t JOIN billing.statements s ON s.statement_id = t.subject_id
        WHERE t.subject_kind = 'statement' AND t.to_state = 'finalised'
        UNION ALL
        SELECT t.subject_kind, t.subject_id, t.transition_index, t.moved_at, 'payout_instructed'::text AS kind, i.payee_id, b.currency,
               i.amount_micros, NULL::date AS period_start_on, NULL::date AS period_end_on
        FROM billing.transitions t JOIN billing.payout_batches b ON b.batch_id = t.subject_id
        JOIN billing.payout_items i USING (batch_id)
        WHERE t.subject_kind = 'payout_batch' AND t.to_state = 'written'
        UNION ALL
        SELECT t.subject_kind, t.subject_id, t.transition_index, t.moved_at, 'payout_' || t.to_state AS kind, i.payee_id, b.currency,
               i.amount_micros, NULL::date AS period_start_on, NULL::date AS period_end_on
        FROM billing.transitions t JOIN billing.payout_items i ON i.item_id = t.subject_id
        JOIN billing.payout_batches b USING (batch_id)
        WHERE t.subject_kind = 'payout' AND t.to_state IN ('rejected', 'returned')
        UNION ALL
        SELECT t.subject_kind, t.subject_id, t.transition_index, t.moved_at,
               CASE t.to_state WHEN 'pending' THEN 'hold_placed' ELSE 'hold_' || t.to_state END AS kind, h.payee_id, h.currency,
               h.amount_micros, NULL::date AS period_start_on, NULL::date AS period_end_on
        FROM billing.transitions t JOIN billing.holds h ON h.hold_id = t.subject_id
        WHERE t.subject_kind = 'hold'
        UNION ALL
        SELECT t.subject_kind, t.subject_id, t.transition_index, t.moved_at, 'account_' || t.to_state AS kind, a.payee_id,
               NULL::text AS currency, NULL::bigint AS amount_micros, NULL::date AS period_start_on, NULL::date AS period_end_on
        FROM billing.transitions t JOIN billing.bank_accounts a ON t.subject_id = a.payee_id || ':' || a.account_version
        WHERE t.subject_kind = 'bank_account'
        UNION ALL
        SELECT t.subject_kind, t.subject_id, t.transition_index, t.moved_at, 'appeal_' || t.to_state AS kind, p.payee_id,
               NULL::text AS currency, NULL::bigint AS amount_micros, NULL::date AS period_start_on, NULL::date AS period_end_on
        FROM billing.transitions t JOIN billing.appeals p ON p.appeal_id = t.subject_id
        WHERE t.subject_kind = 'appeal' AND t.to_state IN ('accepted', 'rejected')
        UNION ALL
        SELECT 'traffic_appeal'::text AS subject_kind, w.appeal_id AS subject_id, 0 AS transition_index, w.answered_at AS moved_at,
               'traffic_appeal_answered'::text AS kind, p.payee_id, NULL::text AS currency, NULL::bigint AS amount_micros,
               NULL::date AS period_start_on, NULL::date AS period_end_on
        FROM billing.traffic_appeal_answers w JOIN billing.traffic_appeals p USING (appeal_id)),
    in_force AS NOT MATERIALIZED (  -- read once for each step: by its index, not whole
        SELECT a.payee_id, a.account_version, a.email, t.moved_at, t.subject_id
        FROM billing.bank_accounts a JOIN billing.transitions t
             ON t.subject_kind = 'bank_account' AND t.subject_id = a.payee_id || ':' || a.account_version AND t.to_state = 'in_force'),
    addressed AS (
        SELECT s.*, f.account_version, f.email
        FROM steps s JOIN LATERAL (
            SELECT account_version, email FROM in_force
            WHERE in_force.payee_id = s.payee_id AND in_force.moved_at < s.moved_at
            ORDER BY account_version DESC LIMIT 1) f ON f.email IS NOT NULL
        UNION ALL
        SELECT s.*, f.account_version, f.email
        FROM steps s JOIN in_force f ON s.subject_kind = 'bank_account' AND f.subject_id = s.subject_id AND f.moved_at = s.moved_at
        WHERE s.kind = 'account_in_force' AND f.email IS DISTINCT FROM (
            SELECT before.email FROM in_force before
            WHERE before.payee_id = s.payee_id AND before.moved_at < s.moved_at ORDER BY before.account_version DESC LIMIT 1))
    SELECT left(encode(sha256(convert_to(concat_ws(E'\n', a.subject_kind, a.subject_id, a.transition_index, a.payee_id,
                                                   a.account_version), 'UTF8')), 'hex'), 32) AS notice_id,
           a.kind, a.subject_kind, a.subject_id, a.transition_index, a.payee_id, a.account_version, a.email, a.moved_at,
           a.currency, a.amount_micros, a.period_start_on, a.period_end_on, tried.attempt_count, tried.delivered_at,
           tried.last_error
    FROM addressed a CROSS JOIN LATERAL (
        SELECT count(*) AS attempt_count, min(n.attempted_at) FILTER (WHERE n.error IS NULL) AS delivered_at,
               (array_agg(n.error ORDER BY n.attempt_index DESC))[1] AS last_error
        FROM billing.notice_attempts n
        WHERE n.subject_kind = a.subject_kind AND n.subject_id = a.subject_id AND n.transition_index = a.transition_index
          AND n.payee_id = a.payee_id AND n.account_version = a.account_version) tried;
COMMENT ON VIEW billing.payee_notices IS 'Every notice that there is to send, to which address, and what became of it.';
ALTER VIEW billing.payee_notices OWNER TO viewledger_owner;

GRANT USAGE ON SCHEMA billing TO viewledger_notices;
GRANT SELECT ON billing.payee_notices TO viewledger_notices, viewledger_auditor;
GRANT SELECT ON billing.notice_attempts TO viewledger_notices, viewledger_auditor;
GRANT INSERT (subject_kind, subject_id, transition_index, payee_id, account_version, attempt_index, channel, error)
    ON billing.notice_attempts TO viewledger_notices;
