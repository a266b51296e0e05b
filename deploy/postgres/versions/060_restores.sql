-- Which installation this is, and when it came back from a backup. What was paid after the backup is not in its books, so nothing
-- is paid until a second person has compared the books with the archive, the checkpoints kept elsewhere and the bank.

CREATE TABLE published.installation (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    installation_id uuid NOT NULL DEFAULT gen_random_uuid()
);
COMMENT ON TABLE published.installation IS 'One row that never changes: the identity of this installation, which its backups have, too.';
INSERT INTO published.installation DEFAULT VALUES;
CREATE TRIGGER installation_append_only BEFORE UPDATE OR DELETE ON published.installation
    FOR EACH ROW EXECUTE FUNCTION published.refuse_change();
CREATE TRIGGER installation_no_truncate BEFORE TRUNCATE ON published.installation
    FOR EACH STATEMENT EXECUTE FUNCTION published.refuse_change();
GRANT SELECT ON published.installation TO viewledger_auditor;

CREATE TABLE billing.restores (
    restore_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    backup_id    text NOT NULL CHECK (backup_id ~ '^[0-9]{8}T[0-9]{6}Z$'),
    backed_up_at timestamptz NOT NULL
        CONSTRAINT restores_backed_up_at_readable CHECK (backed_up_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    actor        text NOT NULL CHECK (btrim(actor) <> '' AND length(actor) <= 100),
    reason       text NOT NULL CHECK (btrim(reason) <> '' AND length(reason) <= 500),
    restored_at  timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT restores_restored_at_readable CHECK (restored_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00')
);
COMMENT ON TABLE billing.restores IS
    'Append-only: from which backup this database was restored. A transition says whether payouts wait, or who released them.';
ALTER TABLE billing.restores OWNER TO viewledger_owner;

INSERT INTO billing.allowed_transitions (subject_kind, from_state, to_state, roles) VALUES
    ('restore', 'open',  'waits',    '{viewledger_owner}'),
    ('restore', 'waits', 'released', '{viewledger_approver}');

SELECT billing.make_append_only(ARRAY['restores']);
SELECT billing.make_stamped(ARRAY['restores']);
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.restores REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('restore', 'restore_id::text');

CREATE FUNCTION billing.begin_restore() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
    VALUES ('restore', NEW.restore_id::text, 0, 'open', 'waits', NEW.actor, NEW.reason);
    RETURN NULL;
END $$;
CREATE TRIGGER restores_wait AFTER INSERT ON billing.restores FOR EACH ROW EXECUTE FUNCTION billing.begin_restore();

CREATE VIEW billing.waiting_restores AS
    SELECT r.restore_id, r.backup_id, r.backed_up_at, r.restored_at, r.actor, r.reason
    FROM billing.restores r JOIN billing.current_states s ON s.subject_kind = 'restore' AND s.subject_id = r.restore_id::text
    WHERE s.state = 'waits';
ALTER VIEW billing.waiting_restores OWNER TO viewledger_owner;
COMMENT ON VIEW billing.waiting_restores IS 'The restores after which payouts still wait.';

-- A file that is written may be at the bank: no batch is made, approved or written.
CREATE FUNCTION billing.refuse_payouts_after_restore() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE since timestamptz;
BEGIN
    SELECT min(backed_up_at) INTO since FROM billing.waiting_restores;
    IF since IS NOT NULL THEN
        RAISE EXCEPTION 'the books were restored from a backup of % UTC, and payouts wait; a second person releases them: '
            '`billing payouts release`', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') USING ERRCODE = 'VL414';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batches_after_restore BEFORE INSERT ON billing.payout_batches
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_payouts_after_restore();
CREATE TRIGGER payouts_after_restore BEFORE INSERT ON billing.transitions FOR EACH ROW
    WHEN (NEW.subject_kind = 'payout_batch' AND NEW.to_state IN ('approved', 'written'))
    EXECUTE FUNCTION billing.refuse_payouts_after_restore();

CREATE FUNCTION billing.check_release() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record; current bigint := (SELECT version FROM published.pointer);
BEGIN
    SELECT * INTO made FROM billing.restores WHERE restore_id::text = NEW.subject_id;
    PERFORM billing.refuse_same_person('the restore from the backup ' || made.backup_id, made.login, made.actor, NEW.actor);
    IF current IS NOT NULL AND NOT EXISTS (
            SELECT FROM published.reconciliations r WHERE r.version = current AND r.kind = 'command' AND r.received_day IS NULL
            AND r.differences = '[]' AND r.reconciled_at > made.restored_at) THEN
        RAISE EXCEPTION 'version % was not compared since the restore, or a difference was found; run `reconcile`', current
            USING ERRCODE = 'VL415';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER restores_are_released BEFORE INSERT ON billing.transitions FOR EACH ROW
    WHEN (NEW.subject_kind = 'restore' AND NEW.to_state = 'released') EXECUTE FUNCTION billing.check_release();

DO $$
DECLARE each regprocedure;
BEGIN
    FOREACH each IN ARRAY ARRAY['billing.begin_restore()', 'billing.refuse_payouts_after_restore()',
                                'billing.check_release()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO viewledger_owner', each);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', each);
    END LOOP;
END $$;
GRANT SELECT ON published.pointer, published.reconciliations TO viewledger_owner;
GRANT SELECT ON billing.restores, billing.waiting_restores TO viewledger_billing, viewledger_approver, viewledger_auditor;
