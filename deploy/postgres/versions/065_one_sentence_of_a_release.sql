-- A code has one sentence. As before, in one statement.

CREATE OR REPLACE FUNCTION billing.check_release() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record;
BEGIN
    SELECT * INTO made FROM billing.restores WHERE restore_id::text = NEW.subject_id;
    PERFORM billing.refuse_same_person('the restore from the backup ' || made.backup_id, made.login, made.actor, NEW.actor);
    IF EXISTS (SELECT FROM published.open_differences) OR EXISTS (SELECT FROM published.pointer) AND NOT EXISTS (
            SELECT FROM published.reconciliations r WHERE r.kind = 'command' AND r.received_day IS NULL
            AND r.differences = '[]' AND r.reconciled_at > made.restored_at) THEN
        RAISE EXCEPTION '%; run `reconcile`', CASE WHEN EXISTS (SELECT FROM published.open_differences)
            THEN 'a comparison found a difference, and none has found everything equal since'
            ELSE 'nothing was compared in full since the restore' END USING ERRCODE = 'VL415';
    END IF;
    RETURN NEW;
END $$;
