-- What a person looks at before they decide on a group under review: a night writes it for the pages, which read no batch
-- tables. No record: replaced every night, and about groups that are under review. It shows what the rules look at, so it is
-- for those who decide and those who audit, and for nobody else.

CREATE TABLE billing.group_evidence (
    event_day       date NOT NULL CONSTRAINT group_evidence_event_day_readable CHECK (event_day BETWEEN '0001-01-01' AND '9999-12-31'),
    rule            text NOT NULL CHECK (rule ~ '^[a-z][a-z_]{0,63}$'),
    payee_id        text NOT NULL CHECK (length(payee_id) <= 200),
    event_count     bigint NOT NULL CHECK (event_count > 0),
    set_hash        text NOT NULL CHECK (set_hash ~ '^[0-9a-f]{32}$'),
    batch_version   bigint NOT NULL,
    counted_at      timestamptz NOT NULL
        CONSTRAINT group_evidence_counted_at_readable CHECK (counted_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    waiting_count   bigint NOT NULL CHECK (waiting_count >= 0),
    video_count     bigint NOT NULL CHECK (video_count > 0),
    points_most     integer NOT NULL,
    estimate_micros bigint,
    currency        text,
    evidence        jsonb,
    PRIMARY KEY (event_day, rule, payee_id, event_count, set_hash),
    CHECK (estimate_micros IS NULL OR currency IS NOT NULL)
);
COMMENT ON TABLE billing.group_evidence IS
    'The groups under review as the last night found them, with what a person looks at before they decide; replaced every night.';
COMMENT ON COLUMN billing.group_evidence.payee_id IS 'Empty for events of videos that nobody owned.';
COMMENT ON COLUMN billing.group_evidence.waiting_count IS 'The views that would be billable.';
COMMENT ON COLUMN billing.group_evidence.points_most IS 'What the reasons of its worst event weigh together.';
COMMENT ON COLUMN billing.group_evidence.estimate_micros IS
    'What all owners would earn by its views; null where no estimate can be made.';
COMMENT ON COLUMN billing.group_evidence.evidence IS
    'Events by hour, kind of network, device, country, seconds and ending, and some of them; null beyond the groups with the most views.';
ALTER TABLE billing.group_evidence OWNER TO viewledger_owner;
GRANT SELECT, INSERT, DELETE ON billing.group_evidence TO viewledger_billing;
GRANT SELECT ON billing.group_evidence TO viewledger_reviewer, viewledger_auditor;

-- As before, and: who decides on a page is named `<issuer> <subject>`, or by the key they signed in with.
GRANT SELECT (key_id) ON access.api_keys TO viewledger_owner;
CREATE FUNCTION billing.refuse_own_traffic(payee_id text, actor text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE names text[];
BEGIN
    names := ARRAY[lower(btrim(actor)), lower(session_user::text)]
        || ARRAY(SELECT lower(subject[1]) FROM regexp_matches(btrim(actor), '^[^ ]*:[^ ]* +(.+)$') AS subject)
        || ARRAY(SELECT k.owner FROM access.api_keys k WHERE btrim(actor) = 'key:' || k.key_id);
    IF lower(refuse_own_traffic.payee_id) = ANY (names)
       OR EXISTS (SELECT FROM access.api_keys k
                  WHERE k.payee_id = refuse_own_traffic.payee_id AND k.owner = ANY (names)) THEN
        RAISE EXCEPTION 'the traffic of payee % is not for % to decide on; someone else must decide', payee_id, actor
            USING ERRCODE = 'VL213';
    END IF;
END $$;
ALTER FUNCTION billing.refuse_own_traffic(text, text) OWNER TO viewledger_owner;
REVOKE EXECUTE ON FUNCTION billing.refuse_own_traffic(text, text) FROM PUBLIC;
COMMENT ON FUNCTION billing.refuse_own_traffic(text, text) IS 'Raises if a payee is the actor, the login, or one of whom either has an API key.';

CREATE OR REPLACE FUNCTION billing.check_traffic_decision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.decided_at := clock_timestamp();
    PERFORM billing.refuse_own_traffic(NEW.payee_id, NEW.actor);
    RETURN NEW;
END $$;

-- an issuer's URL and a subject of 255 characters
ALTER TABLE billing.traffic_decisions DROP CONSTRAINT traffic_decisions_actor_check,
    ADD CONSTRAINT traffic_decisions_actor_check CHECK (btrim(actor) <> '' AND length(actor) <= 500);
