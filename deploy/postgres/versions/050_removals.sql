-- Raw events that are removed on purpose, after their time or because their viewer is to be forgotten. The record says how many
-- rows left each partition and hour, with their hash, and who wanted it; it names no viewer. A missing row that is not on this
-- record was removed by somebody else.

CREATE TABLE published.removals (
    version    bigint PRIMARY KEY REFERENCES published.versions (version),
    kind       text NOT NULL CHECK (kind IN ('retention', 'viewer')),
    before_on  date CHECK ((before_on IS NOT NULL) = (kind = 'retention')),
    actor      text NOT NULL CHECK (btrim(actor) <> '' AND length(actor) <= 100),
    reason     text NOT NULL CHECK (btrim(reason) <> '' AND length(reason) <= 500),
    login      text NOT NULL DEFAULT session_user,
    removed    jsonb NOT NULL CHECK (jsonb_typeof(removed) = 'array'),
    removed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT removals_before_on_readable CHECK (before_on BETWEEN '0001-01-01' AND '9999-12-31'),
    CONSTRAINT removals_removed_at_readable CHECK (removed_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE published.removals IS
    'Append-only: which version removed raw events, on whose order and why. "removed" has a row for each table, partition and hour '
    'of receipt: [table, partition, hour, rows, hash, hash of the offsets alone].';

CREATE FUNCTION published.removed_hours(of_removed jsonb, OUT table_name text, OUT partition integer, OUT received_hour timestamptz,
                                        OUT row_count bigint, OUT content_hash text, OUT offsets_hash text)
RETURNS SETOF record LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, published, pg_temp SET timezone = 'UTC' AS $$
    SELECT each ->> 0, (each ->> 1)::integer, (each ->> 2)::timestamptz, (each ->> 3)::bigint, each ->> 4, each ->> 5
    FROM jsonb_array_elements(of_removed) AS each
$$;

CREATE FUNCTION published.check_removal() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE wrong text;
BEGIN
    IF NOT EXISTS (SELECT FROM published.versions WHERE version = NEW.version AND xmin = pg_current_xact_id()::xid)
       OR EXISTS (SELECT FROM published.replaced_files WHERE version = NEW.version) THEN
        wrong := 'recorded with the version, before the files that it replaces';
    ELSIF EXISTS (SELECT FROM published.removed_hours(NEW.removed) AS h
                  WHERE h.table_name IS NULL OR h.table_name NOT IN ('raw_events', 'rejected_events') OR h.partition IS NULL
                  OR h.partition < 0 OR h.received_hour IS NULL OR date_trunc('hour', h.received_hour, 'UTC') <> h.received_hour
                  OR h.row_count IS NULL OR h.row_count <= 0 OR h.content_hash !~ '^[0-9a-f]{32}$' OR h.content_hash IS NULL
                  OR h.offsets_hash !~ '^[0-9a-f]{32}$' OR h.offsets_hash IS NULL) THEN
        wrong := 'given in rows of table, partition, hour, rows, hash and hash of the offsets';
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'what version % removes must be %', NEW.version, wrong USING ERRCODE = 'VL008';
    END IF;
    NEW.login := session_user;
    NEW.removed_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER removals_with_their_version BEFORE INSERT ON published.removals
    FOR EACH ROW EXECUTE FUNCTION published.check_removal();
CREATE TRIGGER removals_append_only BEFORE UPDATE OR DELETE ON published.removals
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER removals_no_truncate BEFORE TRUNCATE ON published.removals
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER noted_in_journal AFTER INSERT ON published.removals REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('removal', 'version::text');

-- As before, and: what is on record as removed by the version need not be in its files.
CREATE OR REPLACE FUNCTION published.refuse_other_rows() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE
    other record;
BEGIN
    SELECT version, partition, received_hour INTO other FROM (
        SELECT f.version, h.partition, h.received_hour, h.row_count, h.content_hash, 1::numeric AS sign
        FROM published.archived_files f JOIN published.archived_hours h USING (path)
        WHERE f.version IN (SELECT version FROM arrived)
        UNION ALL
        SELECT a.version, h.partition, h.received_hour, h.row_count, h.content_hash, -1
        FROM arrived a JOIN published.archived_hours h USING (path)
        UNION ALL
        SELECT r.version, h.partition, h.received_hour, h.row_count, h.content_hash, 1
        FROM published.removals r CROSS JOIN LATERAL published.removed_hours(r.removed) AS h
        WHERE r.version IN (SELECT version FROM arrived) AND h.table_name = 'raw_events'
    ) AS rows_of_all
    GROUP BY version, partition, received_hour
    -- the hash is two sums of 64 bits, which add up modulo 2^64
    HAVING sum(sign * row_count) <> 0
        OR mod(sum(sign * ('x' || left(content_hash, 16))::bit(64)::bigint), 18446744073709551616) <> 0
        OR mod(sum(sign * ('x' || right(content_hash, 16))::bit(64)::bigint), 18446744073709551616) <> 0
    ORDER BY version, partition, received_hour LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the files of version % do not hold the rows of those that they replace: partition %, hour %',
            other.version, other.partition, other.received_hour AT TIME ZONE 'UTC' USING ERRCODE = 'VL006';
    END IF;
    RETURN NULL;
END $$;

COMMENT ON TABLE published.replaced_files IS
    'Append-only: each file of the raw events that belongs to the table no more, and the version from which on: its rows are in '
    'files that this version added, or on record as removed by it.';

-- From which day on raw events are needed, and why: a retention removes nothing of this day or a later one.
CREATE VIEW published.raw_needed AS
WITH billed AS (
    SELECT max(period_end_on) OVER (ORDER BY period_start_on, period_end_on) AS covered_until,
           lead(period_start_on) OVER (ORDER BY period_start_on, period_end_on) AS next_start_on
    FROM billing.runs
)
SELECT '0001-01-02'::date AS from_on, 'no period is billed yet' AS why WHERE NOT EXISTS (SELECT FROM billing.runs)
UNION ALL
SELECT min(covered_until), 'no billing run covers this day' FROM billed
WHERE next_start_on IS NULL OR next_start_on > covered_until HAVING count(*) > 0
UNION ALL
SELECT min(s.period_start_on), 'a statement of its period is not final'
FROM billing.statements s JOIN billing.current_states c ON c.subject_kind = 'statement' AND c.subject_id = s.statement_id
WHERE c.state IN ('calculated', 'in_review', 'approved', 'held') HAVING count(*) > 0
UNION ALL
SELECT min(s.period_start_on), 'an objection to a statement of its period is open'
FROM billing.appeals a JOIN billing.statements s USING (statement_id)
JOIN billing.current_states c ON c.subject_kind = 'appeal' AND c.subject_id = a.appeal_id
WHERE c.state = 'received' HAVING count(*) > 0;
COMMENT ON VIEW published.raw_needed IS 'From which day on raw events are needed for money that is not final, and why.';

REVOKE EXECUTE ON FUNCTION published.removed_hours(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION published.removed_hours(jsonb) TO viewledger_pipeline, viewledger_auditor;
GRANT INSERT (version, kind, before_on, actor, reason, removed) ON published.removals TO viewledger_pipeline;
GRANT SELECT ON published.removals TO viewledger_pipeline, viewledger_billing, viewledger_approver, viewledger_auditor;
GRANT SELECT ON published.raw_needed TO viewledger_pipeline, viewledger_auditor;
