-- The journal: one row for everything that is recorded for good, in the order it was recorded; and the signed checkpoints.

CREATE TABLE billing.journal (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL,
    key         text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE billing.journal IS 'What was recorded, in order; checkpoints cover ranges of its positions.';

-- Positions are handed out under a shared lock that is kept to the end of the database transaction. Whoever holds the
-- exclusive one (close_journal) knows that no lower position can appear any more.
CREATE FUNCTION billing.note_in_journal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('viewledger.billing.journal'));
    EXECUTE format('INSERT INTO billing.journal (kind, key) SELECT %L, %s FROM arrived ORDER BY 2',
                   TG_ARGV[0], TG_ARGV[1]);   -- an expression of this migration, never of a client
    RETURN NULL;
END $$;

CREATE FUNCTION billing.close_journal(OUT position_end bigint, OUT cut_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.journal'));
    SELECT coalesce(max(position), 0) + 1, clock_timestamp() INTO position_end, cut_at FROM billing.journal;
END $$;

CREATE TABLE billing.checkpoints (
    sequence  bigint PRIMARY KEY CHECK (sequence > 0),
    body      text NOT NULL,                -- what was signed, byte for byte
    signature text NOT NULL CHECK (signature ~ '^[0-9a-f]{128}$'),
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE billing.checkpoints IS 'The chain of signed checkpoints; the operator keeps a copy elsewhere.';

DO $$
DECLARE noted text[];
BEGIN
    FOREACH noted SLICE 1 IN ARRAY ARRAY[
        ['published.versions', 'version', 'version::text'],
        ['billing.catalogue_versions', 'catalogue', 'catalogue_version::text'],
        ['billing.rate_cards', 'contract', 'contract_version::text'],
        ['billing.runs', 'run', 'run_id'],
        ['billing.statements', 'statement', 'statement_id'],
        ['billing.transitions', 'transition', 'concat_ws('' '', subject_kind, subject_id, transition_index)'],
        ['billing.transactions', 'transaction', 'transaction_id']] LOOP
        EXECUTE format('CREATE TRIGGER noted_in_journal AFTER INSERT ON %s REFERENCING NEW TABLE AS arrived
                        FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal(%L, %L)',
                       noted[1], noted[2], noted[3]);
    END LOOP;
END $$;

SELECT billing.make_append_only(ARRAY['journal', 'checkpoints']);

ALTER TABLE billing.journal OWNER TO viewledger_owner;
ALTER TABLE billing.checkpoints OWNER TO viewledger_owner;
ALTER FUNCTION billing.note_in_journal() OWNER TO viewledger_owner;
ALTER FUNCTION billing.close_journal() OWNER TO viewledger_owner;
GRANT SELECT ON billing.journal, billing.checkpoints TO viewledger_billing, viewledger_auditor, viewledger_approver;
GRANT INSERT ON billing.checkpoints TO viewledger_billing;
