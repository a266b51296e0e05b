-- A word of money means one thing: earned is payable + withheld tax, as the API, the commands and the approval limit have it;
-- what is over the contract's cap is no part of it. "Until" includes its instant, "before" does not. docs/concepts/glossary.md.

CREATE OR REPLACE VIEW reporting.statements AS
    SELECT s.statement_id, s.run_id, s.payee_id, s.period_start_on, s.period_end_on, s.restatement_number, s.currency,
           s.billable_views, s.line_count, s.payable_micros + s.tax_micros AS earned_micros,
           s.over_cap_micros, s.tax_micros, s.payable_micros, r.batch_version, states.state, states.moved_at AS state_since
    FROM billing.statements s
    JOIN billing.runs r USING (run_id)
    LEFT JOIN billing.current_states states ON states.subject_kind = 'statement' AND states.subject_id = s.statement_id;
COMMENT ON COLUMN reporting.statements.earned_micros IS
    'Payable and withheld tax, in millionths of the currency unit; its lines sum to this and what is over the cap';
COMMENT ON COLUMN reporting.statements.over_cap_micros IS 'What the lines come to above the contract''s cap; never paid';
COMMENT ON COLUMN reporting.statements.tax_micros IS 'Tax withheld, a part of what is earned';
COMMENT ON COLUMN reporting.statements.payable_micros IS 'What is paid to the payee: earned less withheld tax';

-- Only the name of the second argument is new: it was called "before", and includes its instant.
DROP FUNCTION billing.balances(timestamptz, timestamptz);
CREATE FUNCTION billing.balances(posted_before timestamptz, effective_until timestamptz)
RETURNS TABLE (account text, currency text, balance_micros bigint) LANGUAGE sql STABLE
SET search_path = pg_catalog, billing, pg_temp AS $$
    SELECT e.account, t.currency, sum(e.amount_micros)::bigint
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
    WHERE t.posted_at < posted_before AND t.effective_at <= effective_until
    GROUP BY e.account, t.currency
$$;
ALTER FUNCTION billing.balances(timestamptz, timestamptz) OWNER TO viewledger_owner;
GRANT EXECUTE ON FUNCTION billing.balances(timestamptz, timestamptz)
    TO viewledger_billing, viewledger_approver, viewledger_auditor;

-- As before, but its sentence names no command: sentences stay when commands are renamed.
CREATE OR REPLACE FUNCTION billing.check_step_is_whole() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE left_over text;
BEGIN
    IF NEW.subject_kind = 'payout_batch' AND NEW.to_state = 'voided' THEN
        SELECT i.item_id INTO left_over FROM billing.payout_items i
        WHERE i.batch_id = NEW.subject_id AND NOT EXISTS (
            SELECT FROM billing.transitions t
            WHERE t.subject_kind = 'payout' AND t.subject_id = i.item_id AND t.to_state = 'voided') LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'payout batch % is voided but its payment % is not; void them in one database transaction',
                NEW.subject_id, left_over USING ERRCODE = 'VL209';
        END IF;
    ELSIF NEW.subject_kind = 'statement' AND NEW.to_state = 'superseded' THEN
        IF NOT EXISTS (SELECT FROM billing.statements WHERE supersedes = NEW.subject_id) THEN
            RAISE EXCEPTION 'statement % is superseded but no statement replaces it; void it to pay nothing',
                NEW.subject_id USING ERRCODE = 'VL210';
        END IF;
    END IF;
    RETURN NULL;
END $$;
