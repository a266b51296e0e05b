-- A share of a view is paid once, whoever it is paid to; and what is nobody's stands on an account of its own.

-- Cause -> what a restated statement earns more (or less) by it; null for the statements of a run that bills, and before.
ALTER TABLE billing.statements ADD COLUMN causes jsonb CHECK (jsonb_typeof(causes) = 'object');

-- Views that are nobody's are in suspense now. What the column counts since: of ids that are no video of the catalogue.
-- Nothing is waived any more.
DO $$
BEGIN   -- its name is one that PostgreSQL made up
    EXECUTE (SELECT format('ALTER TABLE billing.runs DROP CONSTRAINT %I', conname) FROM pg_constraint
             WHERE conrelid = 'billing.runs'::regclass AND pg_get_constraintdef(oid) LIKE '%unattributed_views%');
END $$;
ALTER TABLE billing.runs ADD CONSTRAINT runs_unattributed_views_check CHECK (unattributed_views >= 0);

-- null in runs from before: a value would make what was signed of them another record
ALTER TABLE billing.runs ADD COLUMN unrated_views bigint CHECK (unrated_views >= 0);
COMMENT ON COLUMN billing.runs.unrated_views IS
    'Billable views of owners who had no rate on their day, each owner''s for itself; null: not counted apart then.';

ALTER TABLE billing.payees ADD CONSTRAINT payees_not_in_suspense CHECK (payee_id NOT LIKE 'suspense:%') NOT VALID;

ALTER TABLE billing.transactions DROP CONSTRAINT transactions_kind_check;
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_kind_check
    CHECK (kind IN ('statement', 'suspense', 'reversal', 'payout', 'payout_settled', 'payout_rejected', 'payout_returned',
                    'payout_voided', 'hold_voided'));
DO $$
BEGIN
    EXECUTE (SELECT format('ALTER TABLE billing.transactions DROP CONSTRAINT %I', conname) FROM pg_constraint
             WHERE conrelid = 'billing.transactions'::regclass AND contype = 'c'
               AND pg_get_constraintdef(oid) LIKE '%''statement''%''reversal''%=%statement_id IS NOT NULL%');
END $$;
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_statement_check
    CHECK ((kind IN ('statement', 'suspense', 'reversal')) = (statement_id IS NOT NULL));
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_suspense_check
    CHECK (kind = 'reversal' OR (kind = 'suspense') = (payee_id = 'suspense:unattributed')) NOT VALID;
ALTER TABLE billing.entries DROP CONSTRAINT entries_account_check;
ALTER TABLE billing.entries ADD CONSTRAINT entries_account_check CHECK (account ~
    '^(expense:creator-revenue|payable:.+|suspense:unattributed|withheld-tax:..|clearing:payouts|bank)$');

-- The lines that the ledger pays: of statements that are posted and were not undone.
CREATE VIEW billing.lines_in_force AS
    SELECT a.statement_id, a.video_id, a.owned_from_on, a.owned_to_on, a.share_ppm
    FROM billing.payment_audit a
    JOIN billing.transactions t ON t.statement_id = a.statement_id AND t.kind IN ('statement', 'suspense')
    WHERE NOT EXISTS (SELECT 1 FROM billing.transactions u WHERE u.reverses = t.transaction_id);

-- A view of a day belongs to each owner of that day by a share, and a statement has one share of a video on a day. So a
-- view is paid at most once when the shares of all statements in force that own its day add up to at most the whole.
CREATE VIEW billing.shares_beyond_whole AS
    WITH shares AS (
        SELECT DISTINCT statement_id, video_id, owned_from_on, owned_to_on, share_ppm FROM billing.lines_in_force
    ), changes AS (
        SELECT video_id, day, sum(change) AS change FROM (
            SELECT video_id, owned_from_on AS day, share_ppm AS change FROM shares
            UNION ALL SELECT video_id, owned_to_on, -share_ppm FROM shares) AS ends
        GROUP BY video_id, day
    ), sums AS (
        SELECT video_id, day AS from_on, lead(day) OVER by_day AS to_on, sum(change) OVER by_day AS share_ppm
        FROM changes WINDOW by_day AS (PARTITION BY video_id ORDER BY day)
    )
    SELECT video_id, from_on, to_on, share_ppm::bigint AS share_ppm FROM sums WHERE share_ppm > 1000000;
COMMENT ON VIEW billing.shares_beyond_whole IS 'Videos and days [from, to) whose views are paid more than once; empty in sound books.';

CREATE INDEX audit_by_video ON billing.payment_audit (video_id, owned_to_on);

-- Which of some statements (posted or not) pay for days of a video whose shares, with theirs, are more than the whole.
CREATE FUNCTION billing.statements_beyond_whole(ids text[])
RETURNS TABLE (statement_id text, video_id text, day date, share_ppm bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, billing, pg_temp AS $$
    WITH own AS MATERIALIZED (
        SELECT DISTINCT a.statement_id, a.video_id, a.owned_from_on, a.owned_to_on, a.share_ppm
        FROM billing.payment_audit a WHERE a.statement_id = ANY (ids)
    ), near AS MATERIALIZED (
        SELECT l.statement_id, l.video_id, l.owned_from_on, l.owned_to_on, l.share_ppm
        FROM (SELECT DISTINCT o.video_id, o.owned_from_on, o.owned_to_on FROM own o) AS days
        JOIN billing.lines_in_force l ON l.video_id = days.video_id AND l.owned_to_on > days.owned_from_on
             AND l.owned_from_on < days.owned_to_on
        UNION SELECT o.statement_id, o.video_id, o.owned_from_on, o.owned_to_on, o.share_ppm FROM own o
    ), sums AS (   -- a sum can only grow where some share begins
        SELECT days.video_id, days.day, sum(n.share_ppm) AS share_ppm
        FROM (SELECT DISTINCT n.video_id, n.owned_from_on AS day FROM near n) AS days
        JOIN near n ON n.video_id = days.video_id AND n.owned_from_on <= days.day AND days.day < n.owned_to_on
        GROUP BY days.video_id, days.day HAVING sum(n.share_ppm) > 1000000
    )
    SELECT o.statement_id, s.video_id, min(s.day), max(s.share_ppm)::bigint
    FROM own o JOIN sums s ON s.video_id = o.video_id AND o.owned_from_on <= s.day AND s.day < o.owned_to_on
    GROUP BY o.statement_id, s.video_id ORDER BY o.statement_id, s.video_id
$$;

-- Checked at commit: when a restatement takes a share from one payee and gives it to another, both are there by then.
CREATE FUNCTION billing.check_shares() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
DECLARE beyond record;
BEGIN
    SELECT * INTO beyond FROM billing.statements_beyond_whole(ARRAY[NEW.statement_id]) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement % of payee %: with it % parts per million of the views of video % on % would be paid, '
            'and 1000000 are there; who gains a share and who loses it are posted together or not at all',
            NEW.statement_id, NEW.payee_id, beyond.share_ppm, beyond.video_id, beyond.day
            USING ERRCODE = 'exclusion_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transactions_pay_once AFTER INSERT ON billing.transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind IN ('statement', 'suspense'))
    EXECUTE FUNCTION billing.check_shares();

-- A statement is of the period of its run: what keeps periods apart keeps statements apart.
CREATE FUNCTION billing.refuse_other_period() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.runs r WHERE r.run_id = NEW.run_id AND r.period_start_on = NEW.period_start_on
                   AND r.period_end_on = NEW.period_end_on AND r.currency = NEW.currency) THEN
        RAISE EXCEPTION 'statement % is of another period or currency than its run %', NEW.statement_id, NEW.run_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER statements_of_their_run BEFORE INSERT ON billing.statements
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_other_period();

-- A line is about days of its statement's period.
CREATE FUNCTION billing.refuse_days_outside() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
AS $$
DECLARE outside text;
BEGIN
    SELECT a.statement_id INTO outside FROM arrived a JOIN billing.statements s USING (statement_id)
    WHERE (a.period_start_on, a.period_end_on) <> (s.period_start_on, s.period_end_on)
       OR a.owned_from_on < s.period_start_on OR a.owned_to_on > s.period_end_on LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement %: a line is about days outside of its period', outside;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_of_its_period AFTER INSERT ON billing.payment_audit REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_days_outside();

ALTER VIEW billing.lines_in_force OWNER TO viewledger_owner;
ALTER VIEW billing.shares_beyond_whole OWNER TO viewledger_owner;
ALTER FUNCTION billing.statements_beyond_whole(text[]) OWNER TO viewledger_owner;
ALTER FUNCTION billing.check_shares() OWNER TO viewledger_owner;
ALTER FUNCTION billing.refuse_other_period() OWNER TO viewledger_owner;
ALTER FUNCTION billing.refuse_days_outside() OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.statements_beyond_whole(text[]), billing.check_shares(), billing.refuse_other_period(),
    billing.refuse_days_outside() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.statements_beyond_whole(text[]) TO viewledger_billing, viewledger_auditor;
GRANT SELECT ON billing.lines_in_force, billing.shares_beyond_whole TO viewledger_billing, viewledger_auditor;
