-- Who it was: the login, stamped by the database, whatever name the client gives. Four eyes are two logins.
-- A name that a client gives (`actor`) can refuse something (the maker's name, or login, again) and never allow anything,
-- so that it does not matter who may give which: the API's process names the person that a token proves, a command whom
-- it is told. Whoever holds one login, or the API's process, is one pair of eyes, however many names they give.

-- Whether a role was given to another, directly or through roles. Unlike pg_has_role, this is no for a superuser to whom
-- nobody gave it: a superuser is not everybody.
CREATE FUNCTION billing.is_member(who name, wanted name) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, billing, pg_temp AS $$
    WITH RECURSIVE held (role) AS (
        SELECT oid FROM pg_roles WHERE rolname = who
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN held ON m.member = held.role)
    SELECT EXISTS (SELECT 1 FROM held JOIN pg_roles r ON r.oid = held.role WHERE r.rolname = wanted)
$$;

-- Whether the session acts in a role: its login was given it, and has not narrowed itself to another one by SET ROLE.
-- Inside a function that runs with the owner's rights the login alone decides: nobody logs in as the owner.
CREATE FUNCTION billing.acts_as(wanted name) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, billing, pg_temp AS $$
    SELECT billing.is_member(session_user, wanted)
           AND (current_user IN (session_user, 'viewledger_owner') OR billing.is_member(current_user, wanted))
$$;

-- Refuses the person who made something as the one who approves it. `maker_login` is null for what was made before logins
-- were stamped: then the names decide alone, as they did.
CREATE FUNCTION billing.refuse_same_person(what text, maker_login text, maker text, checker text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF maker_login = session_user THEN
        RAISE EXCEPTION '% was made by the login %; another login approves it', what, maker_login;
    END IF;
    IF lower(btrim(checker)) IN (lower(btrim(maker)), lower(maker_login), 'run')
       OR lower(session_user::text) = lower(btrim(maker)) THEN
        RAISE EXCEPTION '% was made by %; somebody else approves it', what, maker;
    END IF;
END $$;

CREATE FUNCTION billing.stamp_login() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.login := session_user;
    RETURN NEW;
END $$;

CREATE FUNCTION billing.make_stamped(tables text[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('ALTER TABLE billing.%I ADD COLUMN login text', name);
        EXECUTE format('COMMENT ON COLUMN billing.%I.login IS %L', name,
                       'The login of PostgreSQL that wrote the row, stamped by the database; null: before logins were stamped.');
        EXECUTE format('CREATE TRIGGER stamped_login BEFORE INSERT ON billing.%I
                        FOR EACH ROW EXECUTE FUNCTION billing.stamp_login()', name);
    END LOOP;
END $$;

SELECT billing.make_stamped(ARRAY['catalogue_versions', 'rate_cards', 'runs', 'statements', 'transitions', 'transactions',
                                  'bank_accounts', 'payout_batches', 'holds', 'appeals', 'checkpoints', 'answered_requests']);

-- What a statement may earn without anybody's approval, in millionths of the currency unit; `*` is for all other currencies.
-- Set by who approves, never by who bills. A run goes by it, or by a lower one of its own.
CREATE TABLE billing.approval_limits (
    limit_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,    -- the newest of a currency is in force
    currency     text NOT NULL CHECK (currency ~ '^([A-Z]{3}|[*])$'),
    limit_micros bigint NOT NULL CHECK (limit_micros >= 0),
    actor        text NOT NULL CHECK (btrim(actor) <> ''),
    reason       text NOT NULL CHECK (btrim(reason) <> ''),
    set_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    login        text
);
COMMENT ON TABLE billing.approval_limits IS 'What a statement may earn without approval, each limit and who set it.';
INSERT INTO billing.approval_limits (currency, limit_micros, actor, reason)
VALUES ('*', 10000 * 1000000::bigint, 'migration', 'as it was by default');

CREATE FUNCTION billing.stamp_limit() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.login := session_user;
    NEW.set_at := clock_timestamp();
    IF billing.is_member(session_user, 'viewledger_billing') THEN
        RAISE EXCEPTION 'the login % bills; a login that does not bill sets the limits', session_user;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER limits_stamp BEFORE INSERT ON billing.approval_limits
    FOR EACH ROW EXECUTE FUNCTION billing.stamp_limit();

-- The limit in force for a currency; nothing approves itself by a limit that the session's own login set.
CREATE FUNCTION billing.approval_limit(of_currency text) RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, billing, pg_temp AS $$
    SELECT coalesce((SELECT CASE WHEN login = session_user THEN 0 ELSE limit_micros END FROM billing.approval_limits
                     WHERE currency IN (of_currency, '*') ORDER BY currency = '*', limit_id DESC LIMIT 1), 0)
$$;

-- A run approves nothing above the database's limit, whatever limit it comes with; a restatement approves nothing itself.
CREATE FUNCTION billing.stamp_run() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    NEW.started_at := clock_timestamp();
    NEW.approval_limit_micros := least(NEW.approval_limit_micros, CASE NEW.kind WHEN 'restatement' THEN -1
                                                                  ELSE billing.approval_limit(NEW.currency) END);
    RETURN NEW;
END $$;
CREATE TRIGGER runs_stamp BEFORE INSERT ON billing.runs FOR EACH ROW EXECUTE FUNCTION billing.stamp_run();

-- Which roles may take a step; one of them is enough.
ALTER TABLE billing.allowed_transitions ADD COLUMN roles text[] NOT NULL
    DEFAULT '{viewledger_billing,viewledger_approver}' CHECK (cardinality(roles) > 0);
ALTER TABLE billing.allowed_transitions DISABLE TRIGGER allowed_transitions_append_only;
UPDATE billing.allowed_transitions SET roles = '{viewledger_approver}'
WHERE subject_kind = 'payout_batch' AND to_state = 'approved'
   OR subject_kind = 'statement' AND from_state = 'in_review' AND to_state = 'approved';
UPDATE billing.allowed_transitions SET roles = '{viewledger_billing}'
WHERE subject_kind = 'payout' OR subject_kind = 'payout_batch' AND to_state <> 'approved'
   OR subject_kind = 'statement' AND to_state IN ('calculated', 'finalised', 'paid', 'superseded')
   OR subject_kind = 'statement' AND from_state = 'calculated' AND to_state = 'approved';   -- the run itself
ALTER TABLE billing.allowed_transitions ENABLE TRIGGER allowed_transitions_append_only;

CREATE FUNCTION billing.refuse_other_roles() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE step record;
BEGIN
    FOR step IN SELECT DISTINCT a.subject_kind, a.to_state, a.roles FROM arrived
                JOIN billing.allowed_transitions a USING (subject_kind, from_state, to_state) LOOP
        IF NOT EXISTS (SELECT 1 FROM unnest(step.roles) AS role WHERE billing.acts_as(role)) THEN
            RAISE EXCEPTION 'a % becomes % in the role %; the login % has it not, or acts in another', step.subject_kind,
                step.to_state, array_to_string(step.roles, ' or '), session_user;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER transitions_by_their_roles AFTER INSERT ON billing.transitions REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_other_roles();

-- A transition follows the one before it; a run approves what it calculated, at or below the limit, and no more than that;
-- whoever runs or makes a statement, or makes a payout batch, is not who approves it; and what becomes of a payment depends
-- on what became of its batch.
CREATE OR REPLACE FUNCTION billing.check_transition() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE
    before text;
    made record;
    batch text;
    batch_state text;
BEGIN
    NEW.moved_at := clock_timestamp();  -- stamped here, whatever the client says
    IF NEW.transition_index = 0 THEN
        before := 'open';
    ELSE
        SELECT to_state INTO before FROM billing.transitions
        WHERE subject_kind = NEW.subject_kind AND subject_id = NEW.subject_id
          AND transition_index = NEW.transition_index - 1;
    END IF;
    IF before IS DISTINCT FROM NEW.from_state THEN
        RAISE EXCEPTION '% % is %, not %', NEW.subject_kind, NEW.subject_id, coalesce(before, 'nowhere'), NEW.from_state;
    END IF;
    IF NEW.subject_kind = 'statement' AND NEW.to_state = 'approved' THEN
        SELECT r.actor, r.login AS run_login, s.login, r.approval_limit_micros,
               s.payable_micros + s.tax_micros > r.approval_limit_micros AS above_limit
        INTO made FROM billing.statements s JOIN billing.runs r USING (run_id) WHERE s.statement_id = NEW.subject_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no statement %', NEW.subject_id;
        END IF;
        IF NEW.from_state = 'calculated' THEN
            IF NEW.actor <> 'run' OR made.above_limit IS DISTINCT FROM false THEN
                RAISE EXCEPTION 'statement % is above the approval limit of its run, or was not calculated by it; it waits in '
                    'review for somebody else than %', NEW.subject_id, made.actor;
            END IF;
        ELSE
            PERFORM billing.refuse_same_person('statement ' || NEW.subject_id, made.run_login, made.actor, NEW.actor);
            PERFORM billing.refuse_same_person('statement ' || NEW.subject_id, made.login, made.actor, NEW.actor);
        END IF;
    ELSIF NEW.subject_kind = 'payout_batch' AND NEW.to_state = 'approved' THEN
        SELECT login, actor INTO made FROM billing.payout_batches WHERE batch_id = NEW.subject_id;
        PERFORM billing.refuse_same_person('payout batch ' || NEW.subject_id, made.login, made.actor, NEW.actor);
    ELSIF NEW.subject_kind = 'payout' AND NEW.to_state IN ('settled', 'rejected', 'voided') THEN
        SELECT batch_id INTO batch FROM billing.payout_items WHERE item_id = NEW.subject_id;
        SELECT to_state INTO batch_state FROM billing.transitions
        WHERE subject_kind = 'payout_batch' AND subject_id = batch ORDER BY transition_index DESC LIMIT 1;
        IF batch IS NOT NULL
           AND batch_state IS DISTINCT FROM (CASE NEW.to_state WHEN 'voided' THEN 'voided' ELSE 'written' END) THEN
            RAISE EXCEPTION 'payment % cannot become %: its batch % is %',
                NEW.subject_id, NEW.to_state, batch, coalesce(batch_state, 'open');
        END IF;
    END IF;
    RETURN NEW;
END $$;

SELECT billing.make_append_only(ARRAY['approval_limits']);
CREATE TRIGGER noted_in_journal AFTER INSERT ON billing.approval_limits REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.note_in_journal('approval_limit', 'limit_id::text');
DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.journal'));
    INSERT INTO billing.journal (kind, key) SELECT 'approval_limit', limit_id::text FROM billing.approval_limits;
END $$;

ALTER TABLE billing.approval_limits OWNER TO viewledger_owner;
DO $$
DECLARE each regprocedure;
BEGIN
    FOREACH each IN ARRAY ARRAY[
        'billing.is_member(name, name)', 'billing.acts_as(name)', 'billing.refuse_same_person(text, text, text, text)',
        'billing.stamp_login()', 'billing.make_stamped(text[])', 'billing.stamp_limit()', 'billing.approval_limit(text)',
        'billing.stamp_run()', 'billing.refuse_other_roles()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO viewledger_owner', each);
    END LOOP;
END $$;
GRANT SELECT ON billing.approval_limits TO viewledger_billing, viewledger_approver, viewledger_auditor;
GRANT INSERT (currency, limit_micros, actor, reason) ON billing.approval_limits TO viewledger_approver;
-- what the triggers of writers call
GRANT EXECUTE ON FUNCTION billing.is_member(name, name), billing.acts_as(name),
    billing.refuse_same_person(text, text, text, text) TO viewledger_billing, viewledger_approver, viewledger_importer;
GRANT EXECUTE ON FUNCTION billing.approval_limit(text) TO viewledger_billing, viewledger_approver;
