-- The counts of a run wait here until the transaction that publishes them copies them. Executors write them in pieces; a piece
-- that is written again takes the place of the former one. Unlogged: a crash of the server empties these tables, the run that
-- wrote them notices when it publishes, and the next attempt writes them again.

CREATE SCHEMA staging;
COMMENT ON SCHEMA staging IS 'Rows of a batch run that is not published yet; the next run removes what a crash left.';

CREATE UNLOGGED TABLE staging.video_counts (
    run_id         text NOT NULL,
    piece          integer NOT NULL,         -- the partition of the executors' data that holds the row
    video_id       text NOT NULL,
    views          bigint NOT NULL,
    billable_views bigint NOT NULL,
    PRIMARY KEY (run_id, piece, video_id)
);
COMMENT ON TABLE staging.video_counts IS 'As published.video_counts, of one run.';

CREATE UNLOGGED TABLE staging.video_day_changes (
    run_id          text NOT NULL,
    piece           integer NOT NULL,
    video_id        text NOT NULL,
    event_day       date NOT NULL,
    views_change    bigint NOT NULL,
    billable_change bigint NOT NULL,
    quarters        smallint[] NOT NULL,
    countries       text[] NOT NULL,
    devices         text[] NOT NULL,
    cell_views      bigint[] NOT NULL,
    cell_billable   bigint[] NOT NULL,
    PRIMARY KEY (run_id, piece, video_id, event_day)
);
COMMENT ON TABLE staging.video_day_changes IS 'As published.video_day_changes, of one run.';

GRANT USAGE ON SCHEMA staging TO viewledger_pipeline;
GRANT SELECT, INSERT, DELETE, TRUNCATE ON staging.video_counts, staging.video_day_changes TO viewledger_pipeline;
