-- Files of the raw events whose rows a compaction wrote again into others. The record of the former file stays, and the rows on
-- record stay the same: partition by partition and hour by hour.

CREATE TABLE published.replaced_files (
    path    text PRIMARY KEY REFERENCES published.archived_files (path),
    version bigint NOT NULL REFERENCES published.versions (version)
);
COMMENT ON TABLE published.replaced_files IS
    'Append-only: each file of the raw events that belongs to the table no more, and the version from which on: its rows are in '
    'files that this version added.';
CREATE INDEX replaced_files_by_version ON published.replaced_files (version);

CREATE FUNCTION published.refuse_other_rows() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE
    other record;
BEGIN
    SELECT version, partition, received_hour INTO other FROM (
        SELECT f.version, h.*, 1::numeric AS sign
        FROM published.archived_files f JOIN published.archived_hours h USING (path)
        WHERE f.version IN (SELECT version FROM arrived)
        UNION ALL
        SELECT a.version, h.*, -1 FROM arrived a JOIN published.archived_hours h USING (path)
    ) AS rows_of_both
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
CREATE TRIGGER replaced_files_hold_the_same AFTER INSERT ON published.replaced_files REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_other_rows();

CREATE TRIGGER replaced_files_append_only BEFORE UPDATE OR DELETE ON published.replaced_files
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER replaced_files_no_truncate BEFORE TRUNCATE ON published.replaced_files
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();

GRANT INSERT ON published.replaced_files TO viewledger_pipeline;
GRANT SELECT ON published.replaced_files TO viewledger_pipeline, viewledger_billing, viewledger_approver, viewledger_api,
    viewledger_auditor;
