-- Rejected messages that were sent again: each once, and by whom.

CREATE SCHEMA ingestion;

CREATE TABLE ingestion.replays (
    topic       text NOT NULL,
    partition   integer NOT NULL CHECK (partition >= 0),
    "offset"    bigint NOT NULL CHECK ("offset" >= 0),
    actor       text NOT NULL CHECK (actor <> ''),
    replayed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
COMMENT ON TABLE ingestion.replays IS 'Messages of the dead-letter topic that were appended to the log again.';

CREATE TRIGGER replays_append_only BEFORE UPDATE OR DELETE ON ingestion.replays
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
