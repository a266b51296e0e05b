-- A dump brings back the numbers of the database transactions of another server, and a new server counts from the beginning:
-- sooner or later one of its transactions has the number of the one that made a batch. The row's own number (xmin) is of this
-- server: a batch stays closed after a restore. As before, and that. Statements and postings are closed by their counts of lines
-- and entries, catalogues by their first step.

CREATE OR REPLACE FUNCTION billing.refuse_late_items() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM arrived JOIN billing.payout_batches b USING (batch_id)
               WHERE b.created_by <> pg_current_xact_id() OR b.xmin <> pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'the payout batch is already made; put what is still owed into a new one' USING ERRCODE = 'VL411';
    END IF;
    RETURN NULL;
END $$;

-- Nor does a payment join a batch while payouts wait.
CREATE TRIGGER items_after_restore BEFORE INSERT ON billing.payout_items
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_payouts_after_restore();

-- Runs go on publishing while somebody compares and releases: the version that was compared need not be the newest.
CREATE OR REPLACE FUNCTION billing.check_release() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record;
BEGIN
    SELECT * INTO made FROM billing.restores WHERE restore_id::text = NEW.subject_id;
    PERFORM billing.refuse_same_person('the restore from the backup ' || made.backup_id, made.login, made.actor, NEW.actor);
    IF EXISTS (SELECT FROM published.pointer) AND NOT EXISTS (
            SELECT FROM published.reconciliations r WHERE r.kind = 'command' AND r.received_day IS NULL
            AND r.differences = '[]' AND r.reconciled_at > made.restored_at) THEN
        RAISE EXCEPTION 'nothing was compared in full since the restore; run `reconcile`' USING ERRCODE = 'VL415';
    ELSIF EXISTS (SELECT FROM published.open_differences) THEN
        RAISE EXCEPTION 'a comparison found a difference, and none has found everything equal since; run `reconcile`'
            USING ERRCODE = 'VL415';
    END IF;
    RETURN NEW;
END $$;
GRANT SELECT ON published.open_differences TO viewledger_owner;

COMMENT ON TABLE billing.restores IS
    'Append-only: from which backup this database was restored, or up to which second from the log of PostgreSQL. A transition '
    'says whether payouts wait, or who released them.';
