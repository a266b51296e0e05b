-- For BI tools and spreadsheets: views that stay as they are while the tables behind them change. Read only.

CREATE SCHEMA reporting;
COMMENT ON SCHEMA reporting IS 'Stable views on published counts, runs, statements and the ledger. Read only.';

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'viewledger_reporting') THEN
        BEGIN
            CREATE ROLE viewledger_reporting NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'viewledger_reporting', 'MEMBER') THEN
        BEGIN
            EXECUTE format('GRANT viewledger_reporting TO %I', current_user);
        EXCEPTION WHEN unique_violation THEN NULL;
        END;
    END IF;
END $$;

CREATE VIEW reporting.versions AS
    SELECT version, run_id, published_at,
           (SELECT min(value::timestamptz) FROM jsonb_array_elements_text(watermarks)) AS settled_until,
           (row_counts ->> 'events')::bigint AS event_count,
           (row_counts ->> 'views_by_video')::bigint AS video_count,
           version = (SELECT pointer.version FROM published.pointer) AS is_current
    FROM published.versions
    WHERE version <= (SELECT pointer.version FROM published.pointer);
COMMENT ON VIEW reporting.versions IS 'Every published version.';
COMMENT ON COLUMN reporting.versions.version IS 'Number, from 1 without gaps';
COMMENT ON COLUMN reporting.versions.run_id IS 'The batch run that published it';
COMMENT ON COLUMN reporting.versions.published_at IS 'When it became the current one';
COMMENT ON COLUMN reporting.versions.settled_until IS 'Everything received before this instant is counted in it';
COMMENT ON COLUMN reporting.versions.event_count IS 'Events in it, whatever their verdict';
COMMENT ON COLUMN reporting.versions.video_count IS 'Videos with at least one counted view';
COMMENT ON COLUMN reporting.versions.is_current IS 'Whether readers get this version now';

CREATE VIEW reporting.video_counts AS
    SELECT DISTINCT ON (video_id) video_id, views, billable_views, version AS changed_in_version
    FROM published.video_counts
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    ORDER BY video_id, version DESC;
COMMENT ON VIEW reporting.video_counts IS 'Settled views of every video in the current version.';
COMMENT ON COLUMN reporting.video_counts.video_id IS 'The video';
COMMENT ON COLUMN reporting.video_counts.views IS 'Counted events';
COMMENT ON COLUMN reporting.video_counts.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.video_counts.changed_in_version IS 'The last version that changed its counts';

CREATE VIEW reporting.video_days AS
    SELECT video_id, event_day, sum(views_change)::bigint AS views, sum(billable_change)::bigint AS billable_views,
           max(version) AS changed_in_version
    FROM published.video_day_changes
    WHERE version <= (SELECT pointer.version FROM published.pointer)
    GROUP BY video_id, event_day;
COMMENT ON VIEW reporting.video_days IS 'Settled views by video and event day in the current version.';
COMMENT ON COLUMN reporting.video_days.video_id IS 'The video';
COMMENT ON COLUMN reporting.video_days.event_day IS 'UTC day of the view';
COMMENT ON COLUMN reporting.video_days.views IS 'Counted events';
COMMENT ON COLUMN reporting.video_days.billable_views IS 'Counted events that are billable under the policy';
COMMENT ON COLUMN reporting.video_days.changed_in_version IS 'The last version that changed the day';

CREATE VIEW reporting.batch_runs AS
    SELECT run_id, kind, state, version, started_at, ended_at,
           round(extract(epoch FROM ended_at - started_at), 1) AS duration_seconds,
           (detail ->> 'archived')::bigint AS archived_count
    FROM published.runs;
COMMENT ON VIEW reporting.batch_runs IS 'That batch runs took place and how each ended; nothing of what an unpublished one counted.';
COMMENT ON COLUMN reporting.batch_runs.run_id IS 'Sorts by time';
COMMENT ON COLUMN reporting.batch_runs.kind IS 'incremental or rebuild';
COMMENT ON COLUMN reporting.batch_runs.state IS 'running, published, gate_failed, failed or nothing_new';
COMMENT ON COLUMN reporting.batch_runs.version IS 'The version it published; null for others';
COMMENT ON COLUMN reporting.batch_runs.started_at IS 'When it began';
COMMENT ON COLUMN reporting.batch_runs.ended_at IS 'When it ended; null while it runs';
COMMENT ON COLUMN reporting.batch_runs.duration_seconds IS 'How long it took';
COMMENT ON COLUMN reporting.batch_runs.archived_count IS 'Events that a published run archived; null for others';

CREATE VIEW reporting.statements AS
    SELECT s.statement_id, s.run_id, s.payee_id, s.period_start_on, s.period_end_on, s.restatement_number, s.currency,
           s.billable_views, s.line_count, s.payable_micros + s.tax_micros + s.over_cap_micros AS earned_micros,
           s.over_cap_micros, s.tax_micros, s.payable_micros, r.batch_version, states.state, states.moved_at AS state_since
    FROM billing.statements s
    JOIN billing.runs r USING (run_id)
    LEFT JOIN billing.current_states states ON states.subject_kind = 'statement' AND states.subject_id = s.statement_id;
COMMENT ON VIEW reporting.statements IS 'What a payee is owed for a period, and how far it has come; superseded ones too.';
COMMENT ON COLUMN reporting.statements.statement_id IS 'The statement';
COMMENT ON COLUMN reporting.statements.run_id IS 'The billing run that calculated it';
COMMENT ON COLUMN reporting.statements.payee_id IS 'Who is paid';
COMMENT ON COLUMN reporting.statements.period_start_on IS 'First day of the period (UTC)';
COMMENT ON COLUMN reporting.statements.period_end_on IS 'The day after its last one';
COMMENT ON COLUMN reporting.statements.restatement_number IS '0 is the first statement of payee and period';
COMMENT ON COLUMN reporting.statements.currency IS 'ISO 4217';
COMMENT ON COLUMN reporting.statements.billable_views IS 'Views that it pays for';
COMMENT ON COLUMN reporting.statements.line_count IS 'Rated lines behind it';
COMMENT ON COLUMN reporting.statements.earned_micros IS 'Sum of its lines, in millionths of the currency unit';
COMMENT ON COLUMN reporting.statements.over_cap_micros IS 'What the contract''s cap took away';
COMMENT ON COLUMN reporting.statements.tax_micros IS 'Tax withheld';
COMMENT ON COLUMN reporting.statements.payable_micros IS 'What is left for the payee';
COMMENT ON COLUMN reporting.statements.batch_version IS 'The published version it was calculated from';
COMMENT ON COLUMN reporting.statements.state IS 'calculated, in_review, approved, finalised, paid, held, voided or superseded';
COMMENT ON COLUMN reporting.statements.state_since IS 'When it came into that state';

CREATE VIEW reporting.statement_lines AS
    SELECT statement_id, line_index, video_id, country, kind, quantity, share_ppm, rate_per_thousand_micros,
           amount_micros, currency, effective_from_on, policy_version, batch_version, evidence_root
    FROM billing.payment_audit;
COMMENT ON VIEW reporting.statement_lines IS 'The rated lines of every statement.';
COMMENT ON COLUMN reporting.statement_lines.statement_id IS 'The statement';
COMMENT ON COLUMN reporting.statement_lines.line_index IS 'Its place in the statement, from 0';
COMMENT ON COLUMN reporting.statement_lines.video_id IS 'The video that earned it';
COMMENT ON COLUMN reporting.statement_lines.country IS 'The country of the rate, * for the default rate';
COMMENT ON COLUMN reporting.statement_lines.kind IS 'views, or ads: and the type of the ads';
COMMENT ON COLUMN reporting.statement_lines.quantity IS 'Views, or ad views';
COMMENT ON COLUMN reporting.statement_lines.share_ppm IS 'The payee''s share of the video, in millionths';
COMMENT ON COLUMN reporting.statement_lines.rate_per_thousand_micros IS 'The rate of 1,000, in millionths of the currency unit';
COMMENT ON COLUMN reporting.statement_lines.amount_micros IS 'The amount, in millionths of the currency unit';
COMMENT ON COLUMN reporting.statement_lines.currency IS 'ISO 4217';
COMMENT ON COLUMN reporting.statement_lines.effective_from_on IS 'First day of the rate card that was applied';
COMMENT ON COLUMN reporting.statement_lines.policy_version IS 'The counting policy its views were judged with';
COMMENT ON COLUMN reporting.statement_lines.batch_version IS 'The published version its views are from';
COMMENT ON COLUMN reporting.statement_lines.evidence_root IS 'Merkle root over the ids of the events it pays for';

CREATE VIEW reporting.ledger_totals AS
    SELECT date_trunc('month', t.posted_at AT TIME ZONE 'UTC')::date AS posted_month, t.currency, t.kind,
           split_part(e.account, ':', 1) AS account_kind, sum(e.amount_micros)::bigint AS amount_micros,
           count(*) AS entry_count
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
    GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW reporting.ledger_totals IS 'The ledger by month of posting; every month, currency and kind sums to zero.';
COMMENT ON COLUMN reporting.ledger_totals.posted_month IS 'First day of the month (UTC) in which it was posted';
COMMENT ON COLUMN reporting.ledger_totals.currency IS 'ISO 4217';
COMMENT ON COLUMN reporting.ledger_totals.kind IS 'What the transactions are: statement, reversal, payout, …';
COMMENT ON COLUMN reporting.ledger_totals.account_kind IS 'expense, payable, withheld-tax, clearing or bank';
COMMENT ON COLUMN reporting.ledger_totals.amount_micros IS 'Sum in millionths of the currency unit; debit positive, credit negative';
COMMENT ON COLUMN reporting.ledger_totals.entry_count IS 'Entries that it sums';

CREATE VIEW reporting.ledger_balances AS
    SELECT e.account, t.currency, sum(e.amount_micros)::bigint AS balance_micros, max(t.posted_at) AS last_posted_at
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
    GROUP BY e.account, t.currency;
COMMENT ON VIEW reporting.ledger_balances IS 'What stands on every account now.';
COMMENT ON COLUMN reporting.ledger_balances.account IS 'The account; payable:<payee> is what the payee is still owed, negative';
COMMENT ON COLUMN reporting.ledger_balances.currency IS 'ISO 4217';
COMMENT ON COLUMN reporting.ledger_balances.balance_micros IS 'Millionths of the currency unit; debit positive, credit negative';
COMMENT ON COLUMN reporting.ledger_balances.last_posted_at IS 'When it last changed';

GRANT USAGE ON SCHEMA reporting TO viewledger_reporting;
GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO viewledger_reporting;
