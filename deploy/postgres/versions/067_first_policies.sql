-- The first policy of a kind has none before it, which the refusal of a day that has begun named as <NULL>.

CREATE OR REPLACE FUNCTION billing.refuse_begun_policy(of_kind text, of_version integer, of_first_on date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE before date;
BEGIN
    SELECT max(first_on) INTO before FROM billing.policies_in_force WHERE kind = of_kind;
    IF of_first_on <= ((clock_timestamp() + interval '1 hour') AT TIME ZONE 'UTC')::date OR of_first_on <= before THEN
        RAISE EXCEPTION '% policy % would rule from % on; give a day that has not begun%', of_kind, of_version, of_first_on,
            coalesce(', after ' || before || ' where the one before it begins', '') USING ERRCODE = 'VL107';
    END IF;
END $$;
