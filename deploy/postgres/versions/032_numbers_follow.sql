-- Numbers that a client chooses follow the one before: nobody takes the last one there is and so ends a series for ever.

-- Arguments: the column, the first number, and the columns within which it is counted.
CREATE FUNCTION published.follow_number() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE
    chosen bigint;
    following bigint;
    within text := '';
BEGIN
    FOR each IN 2 .. TG_NARGS - 1 LOOP
        within := within || format(' AND %1$I = ($1).%1$I', TG_ARGV[each]);
    END LOOP;
    EXECUTE format('SELECT ($1).%1$I, coalesce(max(%1$I) + 1, %2$L::bigint) FROM %3$I.%4$I WHERE true%5$s',
                   TG_ARGV[0], TG_ARGV[1], TG_TABLE_SCHEMA, TG_TABLE_NAME, within)
    INTO chosen, following USING NEW;   -- names of this migration, never of a client
    IF chosen > following OR chosen < TG_ARGV[1]::bigint THEN
        RAISE EXCEPTION '%.%: % % does not follow the one before; the next is %',
            TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], chosen, following;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER number_follows BEFORE INSERT ON billing.catalogue_versions
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('catalogue_version', '1');
CREATE TRIGGER number_follows BEFORE INSERT ON billing.rate_cards
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('contract_version', '1');
CREATE TRIGGER number_follows BEFORE INSERT ON billing.checkpoints
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('sequence', '1');
CREATE TRIGGER number_follows BEFORE INSERT ON billing.bank_accounts
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('account_version', '1', 'payee_id');
CREATE TRIGGER number_follows BEFORE INSERT ON billing.runs
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('restatement_number', '0', 'period_start_on', 'period_end_on');
CREATE TRIGGER number_follows BEFORE INSERT ON billing.statements
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('restatement_number', '0', 'period_start_on', 'period_end_on',
                                                          'payee_id');

-- Numbers that the database gives, and when it was: OVERRIDING SYSTEM VALUE needs a right on the column.
REVOKE INSERT ON billing.notices FROM viewledger_billing;
GRANT INSERT (payee_id, statement_id, delta_micros) ON billing.notices TO viewledger_billing;
