-- Labels: the names that people give to published versions. They decide nothing; a later label of a version takes the place of
-- the one before.

CREATE TABLE published.version_labels (
    label_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version     bigint NOT NULL REFERENCES published.versions (version),
    label       text NOT NULL CHECK (btrim(label) <> '' AND length(label) <= 100),
    actor       text NOT NULL CHECK (btrim(actor) <> ''),
    labelled_at timestamptz NOT NULL DEFAULT clock_timestamp()
                CHECK (labelled_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE published.version_labels IS 'Append-only: the name that a person gave to a version; the newest of a version counts.';
CREATE INDEX version_labels_by_version ON published.version_labels (version, label_id DESC);

CREATE TRIGGER version_labels_append_only BEFORE UPDATE OR DELETE ON published.version_labels
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER version_labels_no_truncate BEFORE TRUNCATE ON published.version_labels
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();

CREATE VIEW published.current_labels AS
    SELECT DISTINCT ON (version) version, label, actor, labelled_at FROM published.version_labels
    ORDER BY version, label_id DESC;
COMMENT ON VIEW published.current_labels IS 'The label of each version that has one.';

GRANT INSERT (version, label, actor) ON published.version_labels TO viewledger_pipeline;
GRANT SELECT ON published.version_labels, published.current_labels TO viewledger_pipeline, viewledger_auditor;
GRANT SELECT ON published.current_labels TO viewledger_api;

CREATE OR REPLACE VIEW reporting.versions AS
    SELECT v.version, v.run_id, v.published_at,
           (SELECT min(value::timestamptz) FROM jsonb_array_elements_text(v.watermarks)) AS settled_until,
           (v.row_counts ->> 'events')::bigint AS event_count,
           (v.row_counts ->> 'views_by_video')::bigint AS video_count,
           v.version = (SELECT pointer.version FROM published.pointer) AS is_current,
           e.expired_at,
           l.label
    FROM published.versions v LEFT JOIN published.expired_versions e ON e.version = v.version
    LEFT JOIN published.current_labels l ON l.version = v.version
    WHERE v.version <= (SELECT pointer.version FROM published.pointer);
COMMENT ON COLUMN reporting.versions.label IS 'The name that a person gave to it; null without one';
