-- What waits for a person in the batch tables: late events, conflicts, groups of traffic under review. No money and no record:
-- replaced every night, for pages, which read no batch tables. What was decided since is in `transitions` and
-- `traffic_decisions`.

CREATE TABLE billing.waiting_counts (
    kind          text PRIMARY KEY CHECK (kind IN ('late_event', 'conflict', 'traffic_group')),
    waiting_count bigint NOT NULL CHECK (waiting_count >= 0),
    batch_version bigint NOT NULL,
    counted_at    timestamptz NOT NULL CHECK (counted_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE billing.waiting_counts IS 'How many of each kind waited in all periods, and when they were counted; no row: never.';
COMMENT ON COLUMN billing.waiting_counts.waiting_count IS 'All of them; waiting_work lists the first ones.';

CREATE TABLE billing.waiting_work (
    kind        text NOT NULL CHECK (kind IN ('late_event', 'conflict', 'traffic_group')),
    subject_id  text NOT NULL CHECK (subject_id <> ''),
    happened_at timestamptz NOT NULL CHECK (happened_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    received_at timestamptz CHECK (received_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    event_count bigint NOT NULL CHECK (event_count > 0),
    payee_id    text NOT NULL,
    video_id    text NOT NULL,
    event_id    text NOT NULL,
    remark      text NOT NULL,
    PRIMARY KEY (kind, subject_id)
);
COMMENT ON COLUMN billing.waiting_work.subject_id IS 'A place in the log (partition:offset), or the name of a group.';
COMMENT ON COLUMN billing.waiting_work.payee_id IS 'Of a group; empty for events.';
COMMENT ON COLUMN billing.waiting_work.remark IS 'Of a conflict: the first event and in what the two differ; of a group: the reason.';
CREATE INDEX waiting_work_by_time ON billing.waiting_work (kind, happened_at);

ALTER TABLE billing.waiting_counts OWNER TO viewledger_owner;
ALTER TABLE billing.waiting_work OWNER TO viewledger_owner;
GRANT SELECT, INSERT, DELETE ON billing.waiting_counts, billing.waiting_work TO viewledger_billing;
GRANT SELECT ON billing.waiting_counts, billing.waiting_work TO viewledger_approver, viewledger_auditor, viewledger_api;

CREATE VIEW billing.decided_groups AS
    SELECT event_day || '/' || rule || '/' || payee_id || '/' || event_count || '-' || left(set_hash, 12) AS name
    FROM billing.traffic_decisions;
COMMENT ON VIEW billing.decided_groups IS 'The groups under review that somebody decided on, by name; not by whom or why.';
ALTER VIEW billing.decided_groups OWNER TO viewledger_owner;
GRANT SELECT ON billing.decided_groups TO viewledger_api, viewledger_billing, viewledger_approver, viewledger_auditor;
