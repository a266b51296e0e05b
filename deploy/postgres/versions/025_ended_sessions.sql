-- Sessions of the portal that somebody signed out of: until they are over by themselves, every API process refuses them.
-- Of a session nothing is stored while it lasts; of its id nothing ever but a hash.

CREATE TABLE access.ended_sessions (
    session_sha256 text PRIMARY KEY CHECK (session_sha256 ~ '^[0-9a-f]{64}$'),
    ends_at        timestamptz NOT NULL,       -- when the session would have been over
    ended_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ended_sessions_by_end ON access.ended_sessions (ends_at);
COMMENT ON TABLE access.ended_sessions IS 'Sessions of the portal that were ended before their time.';

-- Whoever may forget an ended session could bring it back: only what is over anyway goes.
CREATE FUNCTION access.keep_ended_sessions() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, access, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR OLD.ends_at > now() THEN
        RAISE EXCEPTION 'an ended session stays ended until it is over';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER ended_sessions_stay BEFORE UPDATE OR DELETE ON access.ended_sessions
    FOR EACH ROW EXECUTE FUNCTION access.keep_ended_sessions();

GRANT USAGE ON SCHEMA access TO viewledger_api;
GRANT SELECT, INSERT, DELETE ON access.ended_sessions TO viewledger_api;
