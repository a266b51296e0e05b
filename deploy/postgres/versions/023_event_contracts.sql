-- Which version of the event contract each message was read by: a change of the contract never reaches what is counted.

ALTER TABLE published.versions ADD COLUMN event_contracts jsonb CHECK (jsonb_typeof(event_contracts) = 'array');
COMMENT ON COLUMN published.versions.event_contracts IS
    '[{"version": 2, "offsets": {…}}, …]: from these offsets on that version is in force, before them version 1; null: 1 alone.';

-- A program of before would read by the first version what the manifest before it says is read by a later one.
CREATE FUNCTION published.refuse_forgotten_contracts() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE kept jsonb;
BEGIN
    SELECT event_contracts INTO kept FROM published.versions WHERE version = NEW.version - 1;
    IF EXISTS (SELECT FROM jsonb_array_elements(kept) WITH ORDINALITY AS each (boundary, place)
               WHERE NEW.event_contracts -> (place::integer - 1) IS DISTINCT FROM boundary) THEN
        RAISE EXCEPTION 'version % is read by other event contracts than version %; use the program that published that, or a newer one',
            NEW.version, NEW.version - 1;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER versions_keep_event_contracts BEFORE INSERT ON published.versions
    FOR EACH ROW EXECUTE FUNCTION published.refuse_forgotten_contracts();
