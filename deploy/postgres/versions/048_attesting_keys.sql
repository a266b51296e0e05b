-- By which keys events were checked for an attestation. A version that forgot one would judge the same events otherwise.

ALTER TABLE published.versions ADD COLUMN attesting_keys jsonb CHECK (jsonb_typeof(attesting_keys) = 'array');
COMMENT ON COLUMN published.versions.attesting_keys IS
    '[{"key_id": "k1", "fingerprint": "...", "since": [0, 0], "vouches": true}, ...]: each key vouches, or is revoked, from these '
    'offsets on, one for each partition; null: attestations were not looked at.';

CREATE FUNCTION published.refuse_forgotten_keys() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE kept jsonb;
BEGIN
    SELECT attesting_keys INTO kept FROM published.versions WHERE version = NEW.version - 1;
    IF EXISTS (SELECT FROM jsonb_array_elements(kept) WITH ORDINALITY AS each (key, place)
               WHERE NEW.attesting_keys -> (place::integer - 1) IS DISTINCT FROM key) THEN
        RAISE EXCEPTION 'version % has other attestation keys than version %; use the program that published that version, or a newer one',
            NEW.version, NEW.version - 1 USING ERRCODE = 'VL007';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER versions_keep_attesting_keys BEFORE INSERT ON published.versions
    FOR EACH ROW EXECUTE FUNCTION published.refuse_forgotten_keys();
