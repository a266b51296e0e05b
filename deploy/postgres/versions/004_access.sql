-- API keys. Nothing of a secret is kept but its hash; a key is never changed except that it is revoked, once.

CREATE SCHEMA access;

CREATE TABLE access.api_keys (
    key_id        text PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{16}$'),
    owner         text NOT NULL CHECK (owner ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    secret_sha256 text NOT NULL CHECK (secret_sha256 ~ '^[0-9a-f]{64}$'),
    scopes        text[] NOT NULL CHECK (cardinality(scopes) > 0),
    payee_id      text,                       -- bound to this payee; null: to none
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
    revoked_at    timestamptz
);
CREATE INDEX api_keys_by_owner ON access.api_keys (owner);
COMMENT ON TABLE access.api_keys IS 'API keys of machines: the hash of the secret, what it may do, until when.';

CREATE FUNCTION access.refuse_change_of_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.revoked_at IS NOT NULL
       OR (to_jsonb(NEW) - 'revoked_at') <> (to_jsonb(OLD) - 'revoked_at') THEN
        RAISE EXCEPTION 'API key % can only be revoked, and only once', OLD.key_id;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER api_keys_only_revoked BEFORE UPDATE OR DELETE ON access.api_keys
    FOR EACH ROW EXECUTE FUNCTION access.refuse_change_of_key();

-- Two live keys of one owner: the one in use and the one that replaces it.
CREATE FUNCTION access.refuse_third_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.access.' || NEW.owner));
    IF (SELECT count(*) FROM access.api_keys
        WHERE owner = NEW.owner AND revoked_at IS NULL AND expires_at > now()) >= 2 THEN
        RAISE EXCEPTION '% has two live keys already: revoke one first', NEW.owner;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER api_keys_two_live BEFORE INSERT ON access.api_keys
    FOR EACH ROW EXECUTE FUNCTION access.refuse_third_key();
