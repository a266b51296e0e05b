-- Refusals of what is published and of access have SQLSTATEs of their own. Only codes and sentences are new; what each function
-- checks is as it was. docs/reference/refusals.md lists the codes.

CREATE OR REPLACE FUNCTION published.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: its rows are never changed or removed',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'VL001';
END $$;

CREATE OR REPLACE FUNCTION published.refuse_older() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'version % does not follow the current version %; publish the next number',
            NEW.version, OLD.version USING ERRCODE = 'VL002';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION published.follow_number() RETURNS trigger LANGUAGE plpgsql
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
        RAISE EXCEPTION '%.%: % % does not follow the newest row; the next is %',
            TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], chosen, following USING ERRCODE = 'VL003';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION published.refuse_forgotten_contracts() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, published, pg_temp AS $$
DECLARE kept jsonb;
BEGIN
    SELECT event_contracts INTO kept FROM published.versions WHERE version = NEW.version - 1;
    IF EXISTS (SELECT FROM jsonb_array_elements(kept) WITH ORDINALITY AS each (boundary, place)
               WHERE NEW.event_contracts -> (place::integer - 1) IS DISTINCT FROM boundary) THEN
        RAISE EXCEPTION 'version % has other event contracts than version %; use the program that published that version, or a newer one',
            NEW.version, NEW.version - 1 USING ERRCODE = 'VL004';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION access.refuse_change_of_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, access, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
       OR (to_jsonb(NEW) - 'revoked_at') <> (to_jsonb(OLD) - 'revoked_at') THEN
        RAISE EXCEPTION 'API key % can only be revoked, and only once; make a new key instead',
            OLD.key_id USING ERRCODE = 'VL011';
    END IF;
    NEW.revoked_at := least(NEW.revoked_at, clock_timestamp());
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION access.refuse_third_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, access, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.access.' || NEW.owner));
    IF (SELECT count(*) FROM access.api_keys
        WHERE owner = NEW.owner AND revoked_at IS NULL AND expires_at > now()) >= 2 THEN
        RAISE EXCEPTION '% already has two live keys; revoke one first', NEW.owner USING ERRCODE = 'VL012';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION access.keep_ended_sessions() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, access, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR OLD.ends_at > now() THEN
        RAISE EXCEPTION 'an ended session cannot be changed, nor removed before it would have expired' USING ERRCODE = 'VL013';
    END IF;
    RETURN OLD;
END $$;
