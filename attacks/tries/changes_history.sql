-- changes an entry
UPDATE billing.entries SET amount_micros = amount_micros + 1;

-- removes a transaction
DELETE FROM billing.transactions;

-- empties the steps
TRUNCATE billing.transitions CASCADE;

-- changes a line
UPDATE billing.payment_audit SET video_id = 'other';

-- changes who owns a video
UPDATE billing.owners SET payee_id = 'ann';

-- changes a rate
UPDATE billing.rate_cards SET document = '{}';

-- changes the journal
UPDATE billing.journal SET recorded_at = '2020-01-01';

-- writes into the journal
INSERT INTO billing.journal (kind, key) VALUES ('statement', 'none');

-- moves the journal's numbers
SELECT setval(pg_get_serial_sequence('billing.journal', 'position')::regclass, 1000000);

-- moves the published version
UPDATE published.pointer SET version = version + 1;

-- publishes a version
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
    VALUES (1000, 'forged', '{}', '[]', '{}', '{}', '{}', '{}');

-- changes published counts
UPDATE published.video_counts SET billable_views = views;

-- says that all agrees
INSERT INTO published.reconciliations (version, kind, differences) VALUES (1, 'command', '[]');

-- releases what nobody released
UPDATE billing.traffic_decisions SET outcome = 'released';
UPDATE billing.traffic_findings SET outcome = 'review';

-- answers what somebody else answered
UPDATE billing.traffic_appeal_answers SET outcome = 'released';
