-- The policies: what decides which views are billable, and later which traffic is invalid. Each is a version with a first day,
-- proposed by one person and put in force by another before that day begins, and covered by a signed checkpoint by then: nobody
-- fits a policy to a payee afterwards, and everybody can check that nobody did.

CREATE TABLE billing.policies (
    kind           text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,31}$'),
    policy_version integer NOT NULL CHECK (policy_version > 0),
    first_on       date NOT NULL CONSTRAINT policies_first_on_readable CHECK (first_on BETWEEN '0001-01-01' AND '9999-12-31'),
    document       jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
    content_hash   text NOT NULL CHECK (content_hash ~ '^[0-9a-f]{64}$'),
    imported_at    timestamptz NOT NULL DEFAULT clock_timestamp()
        CONSTRAINT policies_imported_at_readable CHECK (imported_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59+00'),
    actor          text CHECK (btrim(actor) <> ''),
    PRIMARY KEY (kind, policy_version),
    -- what every reader relies on
    CONSTRAINT policies_counting_readable CHECK (kind <> 'counting' OR (
        document ?& ARRAY['asks_attestation', 'billable_per_viewer_max', 'minimum_view_seconds', 'viewer_window_hours']
        AND jsonb_typeof(document -> 'asks_attestation') = 'boolean'
        AND jsonb_typeof(document -> 'billable_per_viewer_max') = 'number'
        AND document ->> 'billable_per_viewer_max' ~ '^([1-9][0-9]{0,2}|1000)$'
        AND jsonb_typeof(document -> 'minimum_view_seconds') = 'number'
        AND document ->> 'minimum_view_seconds' ~ '^[0-9]{1,5}$' AND (document ->> 'minimum_view_seconds')::integer <= 86400
        AND jsonb_typeof(document -> 'viewer_window_hours') = 'number'
        AND document ->> 'viewer_window_hours' ~ '^([1-9]|1[0-9]|2[0-4])$'))
);
COMMENT ON TABLE billing.policies IS
    'Append-only: the values of each version of a policy and the first event day that it rules. A transition puts it in force.';
ALTER TABLE billing.policies OWNER TO viewledger_owner;

INSERT INTO billing.allowed_transitions (subject_kind, from_state, to_state, roles)
SELECT 'policy', from_state, to_state, roles::text[] FROM (VALUES
    ('open',     'in_force', '{viewledger_owner}'),      -- the one of this migration
    ('open',     'proposed', '{viewledger_owner}'),
    ('proposed', 'in_force', '{viewledger_approver}'),
    ('proposed', 'refused',  '{viewledger_approver,viewledger_billing}')
) AS rows (from_state, to_state, roles);

SELECT billing.make_append_only(ARRAY['policies']);
SELECT billing.make_stamped(ARRAY['policies']);
CREATE TRIGGER import_stamped BEFORE INSERT ON billing.policies FOR EACH ROW EXECUTE FUNCTION billing.stamp_import();
CREATE TRIGGER number_follows BEFORE INSERT ON billing.policies
    FOR EACH ROW EXECUTE FUNCTION published.follow_number('policy_version', '1', 'kind');
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.policies REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('policy', 'concat_ws('' '', kind, policy_version)');

-- By which views were judged until now.
INSERT INTO billing.policies (kind, policy_version, first_on, document, content_hash, actor)
SELECT 'counting', 1, '1970-01-01', document::jsonb, encode(sha256(convert_to(document, 'UTF8')), 'hex'), 'migration'
FROM (VALUES ('{"asks_attestation": false, "billable_per_viewer_max": 4, "minimum_view_seconds": 30, "viewer_window_hours": 24}'))
     AS first (document);
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
VALUES ('policy', 'counting:1', 0, 'open', 'in_force', 'migration', 'by which views were judged until now');

CREATE VIEW billing.policies_in_force AS
    SELECT p.kind, p.policy_version, p.first_on, p.document, p.content_hash
    FROM billing.transitions t JOIN billing.policies p
         ON t.subject_kind = 'policy' AND t.subject_id = p.kind || ':' || p.policy_version AND t.to_state = 'in_force';
ALTER VIEW billing.policies_in_force OWNER TO viewledger_owner;

-- An event may claim to happen five minutes from now; an hour lets no day begin before its policy is known.
CREATE FUNCTION billing.refuse_begun_policy(of_kind text, of_version integer, of_first_on date) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE before date;
BEGIN
    SELECT max(first_on) INTO before FROM billing.policies_in_force WHERE kind = of_kind;
    IF of_first_on <= ((clock_timestamp() + interval '1 hour') AT TIME ZONE 'UTC')::date OR of_first_on <= before THEN
        RAISE EXCEPTION '% policy % would rule from % on; give a day that has not begun, after % where the one before it begins',
            of_kind, of_version, of_first_on, before USING ERRCODE = 'VL107';
    END IF;
END $$;

CREATE FUNCTION billing.propose_policy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.refuse_begun_policy(NEW.kind, NEW.policy_version, NEW.first_on);
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
    VALUES ('policy', NEW.kind || ':' || NEW.policy_version, 0, 'open', 'proposed', coalesce(NEW.actor, session_user));
    RETURN NULL;
END $$;
CREATE TRIGGER policies_proposed AFTER INSERT ON billing.policies FOR EACH ROW EXECUTE FUNCTION billing.propose_policy();

CREATE FUNCTION billing.check_policy_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record; place bigint;
BEGIN
    PERFORM billing.lock_imports();
    SELECT kind, policy_version, first_on, actor, login INTO made FROM billing.policies
    WHERE kind || ':' || policy_version = NEW.subject_id;
    PERFORM billing.refuse_begun_policy(made.kind, made.policy_version, made.first_on);
    SELECT position INTO place FROM billing.journal WHERE kind = 'policy' AND key = made.kind || ' ' || made.policy_version;
    IF NOT EXISTS (SELECT FROM billing.checkpoints WHERE (body::jsonb ->> 'position_end')::bigint > place) THEN
        RAISE EXCEPTION 'no signed checkpoint covers policy % yet; approve it after the next one, `billing proof checkpoint`',
            NEW.subject_id USING ERRCODE = 'VL108';
    END IF;
    PERFORM billing.refuse_same_person('policy ' || NEW.subject_id, made.login, coalesce(made.actor, made.login), NEW.actor);
    RETURN NEW;
END $$;
CREATE TRIGGER policies_come_into_force BEFORE INSERT ON billing.transitions FOR EACH ROW
    WHEN (NEW.subject_kind = 'policy' AND NEW.from_state = 'proposed' AND NEW.to_state = 'in_force')
    EXECUTE FUNCTION billing.check_policy_step();

CREATE OR REPLACE VIEW billing.proposals AS
    SELECT s.subject_kind, s.subject_id, s.actor, t.login, s.reason, s.moved_at, a.payee_id,
           a.holder_name, CASE WHEN a.iban IS NOT NULL THEN left(a.iban, 2) || '…' || right(a.iban, 4) END AS account,
           b.holder_name AS holder_before, left(b.iban, 2) || '…' || right(b.iban, 4) AS account_before
    FROM billing.current_states s
    JOIN billing.transitions t USING (subject_kind, subject_id, transition_index)
    LEFT JOIN billing.bank_accounts a ON s.subject_kind = 'bank_account' AND s.subject_id = a.payee_id || ':' || a.account_version
    LEFT JOIN billing.bank_accounts_in_force b ON b.payee_id = a.payee_id
    WHERE s.state = 'proposed' AND s.subject_kind IN ('catalogue', 'contract', 'bank_account', 'policy');

DO $$
DECLARE each regprocedure; reader record;
BEGIN
    FOREACH each IN ARRAY ARRAY['billing.refuse_begun_policy(text, integer, date)', 'billing.propose_policy()',
                                'billing.check_policy_step()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO viewledger_owner', each);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', each);
    END LOOP;
    -- each reader of the contracts reads the policies
    FOR reader IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
                  WHERE table_schema = 'billing' AND table_name = 'rate_cards' AND privilege_type = 'SELECT'
                    AND grantee <> 'viewledger_owner' LOOP
        EXECUTE format('GRANT SELECT ON billing.policies, billing.policies_in_force TO %I', reader.grantee);
    END LOOP;
END $$;
GRANT INSERT ON billing.policies TO viewledger_billing;
GRANT SELECT ON billing.policies_in_force TO viewledger_pipeline;
