-- A statement has at most one appeal that is not decided yet: two would be decided apart, and perhaps against each other.

CREATE FUNCTION billing.refuse_second_appeal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE open_appeal text;
BEGIN
    PERFORM billing.lock_ledger();
    SELECT a.appeal_id INTO open_appeal FROM billing.appeals a
    WHERE a.statement_id = NEW.statement_id AND a.appeal_id <> NEW.appeal_id
      AND NOT EXISTS (SELECT 1 FROM billing.transitions t WHERE t.subject_kind = 'appeal' AND t.subject_id = a.appeal_id
                      AND t.to_state IN ('accepted', 'rejected', 'withdrawn'))
    LIMIT 1;
    IF open_appeal IS NOT NULL THEN
        RAISE EXCEPTION 'statement % has an open appeal already (%); a new one can be made when it is decided',
            NEW.statement_id, open_appeal;
    END IF;
    RETURN NEW;
END $$;
ALTER FUNCTION billing.refuse_second_appeal() OWNER TO viewledger_owner;

CREATE INDEX appeals_by_statement ON billing.appeals (statement_id);
CREATE TRIGGER one_open_appeal BEFORE INSERT ON billing.appeals
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_second_appeal();
