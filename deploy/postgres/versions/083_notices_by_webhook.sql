-- Notices also go by webhook to platforms that tell their payees themselves. Such a platform knows how to reach a payee, so there is
-- a notice for an account without an address, too: `email` is null, and only the webhook sends it. The id of a notice is the same by
-- either channel, and what one has delivered the other does not send again.

ALTER TABLE billing.notice_attempts DROP CONSTRAINT notice_attempts_channel_check;
ALTER TABLE billing.notice_attempts ADD CONSTRAINT notice_attempts_channel_check CHECK (channel IN ('email', 'webhook'));

-- One row for each step and each account that is told of it: the one in force when the step was taken; of a new account, the one
-- before and, if there is none or its address is another, the new one. A step from before its payee had an account is told to nobody.
CREATE OR REPLACE VIEW billing.payee_notices AS
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
            ORDER BY account_version DESC LIMIT 1) f ON true
        UNION ALL
        SELECT s.*, f.account_version, f.email
        FROM steps s JOIN in_force f ON s.subject_kind = 'bank_account' AND f.subject_id = s.subject_id AND f.moved_at = s.moved_at
        LEFT JOIN LATERAL (
            SELECT account_version, email FROM in_force
            WHERE in_force.payee_id = s.payee_id AND in_force.moved_at < s.moved_at
            ORDER BY account_version DESC LIMIT 1) before ON true
        WHERE s.kind = 'account_in_force' AND (before.account_version IS NULL OR f.email IS DISTINCT FROM before.email))
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
COMMENT ON VIEW billing.payee_notices IS
    'Every notice that there is to send, to which address (null: by webhook alone), and what became of it.';
