-- The journal also notes where money goes and what is kept back: bank accounts, payout batches with their payments, holds,
-- appeals and notices. What became of them (and of late events) are transitions, which it notes already.

DO $$
DECLARE noted text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.journal'));
    FOREACH noted SLICE 1 IN ARRAY ARRAY[
        ['billing.bank_accounts', 'bank_account', 'concat_ws('' '', account_version, payee_id)'],
        ['billing.payout_batches', 'payout_batch', 'batch_id'],
        ['billing.holds', 'hold', 'hold_id'],
        ['billing.appeals', 'appeal', 'appeal_id'],
        ['billing.notices', 'notice', 'notice_id::text']] LOOP
        EXECUTE format('CREATE TRIGGER noted_in_journal AFTER INSERT ON %s REFERENCING NEW TABLE AS arrived
                        FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal(%L, %L)',
                       noted[1], noted[2], noted[3]);
        -- what is there already is noted now, as it stands: nothing vouches for it from before this day
        EXECUTE format('INSERT INTO billing.journal (kind, key) SELECT %L, %s FROM %s ORDER BY 2',
                       noted[2], noted[3], noted[1]);
    END LOOP;
END $$;
