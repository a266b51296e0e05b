-- What decides who is paid comes into force: the catalogue, the contracts, the bank accounts. What moves money that is not
-- billed or paid yet is proposed and waits until a second person puts it in force; the database judges which it is, from the
-- rows themselves, so that whoever imports can put nothing in force that moves money.

ALTER TABLE billing.catalogue_versions ADD COLUMN actor text CHECK (btrim(actor) <> '');
ALTER TABLE billing.rate_cards ADD COLUMN actor text CHECK (btrim(actor) <> '');
CREATE INDEX payees_by_id ON billing.payees (payee_id);

INSERT INTO billing.allowed_transitions (subject_kind, from_state, to_state, roles)
SELECT subject_kind, from_state, to_state, roles::text[] FROM (VALUES
    ('catalogue',    'open',     'in_force', '{viewledger_owner}'),      -- by the judgement below alone
    ('catalogue',    'open',     'proposed', '{viewledger_owner}'),
    ('catalogue',    'proposed', 'in_force', '{viewledger_approver}'),
    ('catalogue',    'proposed', 'refused',  '{viewledger_approver,viewledger_billing}'),
    ('contract',     'open',     'in_force', '{viewledger_owner}'),
    ('contract',     'open',     'proposed', '{viewledger_owner}'),
    ('contract',     'proposed', 'in_force', '{viewledger_approver}'),
    ('contract',     'proposed', 'refused',  '{viewledger_approver,viewledger_billing}'),
    ('bank_account', 'open',     'in_force', '{viewledger_owner}'),      -- those from before this migration
    ('bank_account', 'open',     'proposed', '{viewledger_owner}'),
    ('bank_account', 'proposed', 'in_force', '{viewledger_approver}'),
    ('bank_account', 'proposed', 'refused',  '{viewledger_approver,viewledger_billing}')
) AS rows (subject_kind, from_state, to_state, roles);

-- Everything from before is in force, in the order it came.
INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
SELECT subject_kind, subject_id, 0, 'open', 'in_force', 'migration', 'imported before this needed a second person'
FROM (SELECT 1 AS part, 'catalogue' AS subject_kind, catalogue_version::text AS subject_id, catalogue_version AS place
      FROM billing.catalogue_versions
      UNION ALL SELECT 2, 'contract', contract_version::text, contract_version FROM billing.rate_cards
      UNION ALL SELECT 3, 'bank_account', payee_id || ':' || account_version, account_version FROM billing.bank_accounts) AS known
ORDER BY part, place, subject_id;

-- What is in force: the highest version. What needed nobody is in force since its import.
CREATE VIEW billing.catalogues_in_force AS
    SELECT c.catalogue_version, CASE t.transition_index WHEN 0 THEN c.imported_at ELSE t.moved_at END AS in_force_at
    FROM billing.transitions t JOIN billing.catalogue_versions c ON c.catalogue_version = t.subject_id::bigint
    WHERE t.subject_kind = 'catalogue' AND t.to_state = 'in_force';
CREATE VIEW billing.contracts_in_force AS
    SELECT r.contract_version, CASE t.transition_index WHEN 0 THEN r.imported_at ELSE t.moved_at END AS in_force_at
    FROM billing.transitions t JOIN billing.rate_cards r ON r.contract_version = t.subject_id::bigint
    WHERE t.subject_kind = 'contract' AND t.to_state = 'in_force';
CREATE VIEW billing.bank_accounts_in_force AS
    SELECT DISTINCT ON (a.payee_id) a.payee_id, a.account_version, a.holder_name, a.iban, a.bic
    FROM billing.bank_accounts a JOIN billing.transitions t
         ON t.subject_kind = 'bank_account' AND t.subject_id = a.payee_id || ':' || a.account_version AND t.to_state = 'in_force'
    ORDER BY a.payee_id, a.account_version DESC;
-- What waits, for those who decide and read no bank data: of an account, only what messages show of it.
CREATE VIEW billing.proposals AS
    SELECT s.subject_kind, s.subject_id, s.actor, t.login, s.reason, s.moved_at, a.payee_id,
           a.holder_name, CASE WHEN a.iban IS NOT NULL THEN left(a.iban, 2) || '…' || right(a.iban, 4) END AS account,
           b.holder_name AS holder_before, left(b.iban, 2) || '…' || right(b.iban, 4) AS account_before
    FROM billing.current_states s
    JOIN billing.transitions t USING (subject_kind, subject_id, transition_index)
    LEFT JOIN billing.bank_accounts a ON s.subject_kind = 'bank_account' AND s.subject_id = a.payee_id || ':' || a.account_version
    LEFT JOIN billing.bank_accounts_in_force b ON b.payee_id = a.payee_id
    WHERE s.state = 'proposed' AND s.subject_kind IN ('catalogue', 'contract', 'bank_account');

CREATE FUNCTION billing.waits(of_kind text, of_subject text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
    SELECT EXISTS (SELECT 1 FROM billing.proposals WHERE subject_kind = of_kind AND subject_id = of_subject)
$$;

-- When and in which database transaction an import came is stamped here; one comes after the other.
CREATE FUNCTION billing.stamp_import() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.import'));
    NEW.imported_at := clock_timestamp();
    IF TG_TABLE_NAME = 'catalogue_versions' THEN
        NEW.imported_by := pg_current_xact_id();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER import_stamped BEFORE INSERT ON billing.catalogue_versions
    FOR EACH ROW EXECUTE FUNCTION billing.stamp_import();
CREATE TRIGGER import_stamped BEFORE INSERT ON billing.rate_cards FOR EACH ROW EXECUTE FUNCTION billing.stamp_import();
CREATE TRIGGER import_stamped BEFORE INSERT ON billing.bank_accounts FOR EACH ROW EXECUTE FUNCTION billing.stamp_import();

-- What a catalogue changes in the one in force before it. `moving` are the changes that can move money not billed yet: a
-- payee's viewer id or tax country, a video's length, a known video's owners, shares or days, and whatever is gone. A new
-- payee, a new name, and a new video with its owners are none.
CREATE FUNCTION billing.catalogue_changes(of_version bigint, OUT what text, OUT added bigint, OUT changed bigint,
                                          OUT gone bigint, OUT moving bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing, pg_temp AS $$
    WITH base AS (SELECT coalesce(max(catalogue_version), 0) AS version FROM billing.catalogues_in_force
                  WHERE catalogue_version < of_version),
    payees AS (
        SELECT b.payee_id IS NULL AS is_new, n.payee_id IS NULL AS is_gone,
               (b.name, b.user_id, b.country) IS DISTINCT FROM (n.name, n.user_id, n.country) AS differs,
               (b.user_id, b.country) IS DISTINCT FROM (n.user_id, n.country) AS moves
        FROM (SELECT * FROM billing.payees WHERE catalogue_version = (SELECT version FROM base)) AS b
        FULL JOIN (SELECT * FROM billing.payees WHERE catalogue_version = of_version) AS n USING (payee_id)),
    videos AS (
        SELECT video_id, b.video_id IS NULL AS is_new, n.video_id IS NULL AS is_gone,
               b.length_seconds IS DISTINCT FROM n.length_seconds AS differs
        FROM (SELECT * FROM billing.videos WHERE catalogue_version = (SELECT version FROM base)) AS b
        FULL JOIN (SELECT * FROM billing.videos WHERE catalogue_version = of_version) AS n USING (video_id)),
    held AS (
        SELECT catalogue_version, video_id, payee_id, array_agg((from_on, to_on, share_ppm)::text ORDER BY from_on) AS shares
        FROM billing.owners WHERE catalogue_version IN (of_version, (SELECT version FROM base)) GROUP BY 1, 2, 3),
    owners AS (
        SELECT video_id, b.payee_id IS NULL AS is_new, n.payee_id IS NULL AS is_gone, b.shares IS DISTINCT FROM n.shares AS differs
        FROM (SELECT * FROM held WHERE catalogue_version <> of_version) AS b
        FULL JOIN (SELECT * FROM held WHERE catalogue_version = of_version) AS n USING (video_id, payee_id))
    SELECT 'payees', count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new AND NOT is_gone AND differs),
           count(*) FILTER (WHERE is_gone), count(*) FILTER (WHERE NOT is_new AND (is_gone OR moves)) FROM payees
    UNION ALL
    SELECT 'videos', count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new AND NOT is_gone AND differs),
           count(*) FILTER (WHERE is_gone), count(*) FILTER (WHERE NOT is_new AND (is_gone OR differs)) FROM videos
    UNION ALL
    SELECT 'owners', count(*) FILTER (WHERE o.is_new), count(*) FILTER (WHERE NOT o.is_new AND NOT o.is_gone AND o.differs),
           count(*) FILTER (WHERE o.is_gone), count(*) FILTER (WHERE o.differs AND NOT v.is_new)
    FROM owners o JOIN videos v USING (video_id)
$$;

CREATE FUNCTION billing.judge_import() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE kind text; subject text; waits boolean; said text := '';
BEGIN
    IF TG_TABLE_NAME = 'catalogue_versions' THEN
        kind := 'catalogue'; subject := NEW.catalogue_version; said := NEW.source;
        SELECT sum(moving) > 0 INTO waits FROM billing.catalogue_changes(NEW.catalogue_version);
    ELSIF TG_TABLE_NAME = 'rate_cards' THEN
        kind := 'contract'; subject := NEW.contract_version;
        SELECT document IS DISTINCT FROM NEW.document INTO waits FROM billing.rate_cards
        WHERE contract_version = (SELECT max(contract_version) FROM billing.contracts_in_force
                                  WHERE contract_version < NEW.contract_version);
    ELSE
        kind := 'bank_account'; subject := NEW.payee_id || ':' || NEW.account_version; waits := true;
    END IF;
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
    VALUES (kind, subject, 0, 'open', CASE WHEN waits THEN 'proposed' ELSE 'in_force' END,
            coalesce(NEW.actor, session_user), said);
    RETURN NULL;
END $$;
-- at the end of the database transaction, when all rows of the catalogue are there
CREATE CONSTRAINT TRIGGER catalogue_versions_judged AFTER INSERT ON billing.catalogue_versions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.judge_import();
CREATE TRIGGER rate_cards_judged AFTER INSERT ON billing.rate_cards
    FOR EACH ROW EXECUTE FUNCTION billing.judge_import();
CREATE TRIGGER bank_accounts_judged AFTER INSERT ON billing.bank_accounts
    FOR EACH ROW EXECUTE FUNCTION billing.judge_import();

-- A catalogue is closed with the database transaction that imports it, and once it is judged.
CREATE OR REPLACE FUNCTION billing.refuse_late_catalogue_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT catalogue_version FROM arrived) AS a WHERE NOT EXISTS (
                   SELECT 1 FROM billing.catalogue_versions v
                   WHERE v.catalogue_version = a.catalogue_version AND v.imported_by = pg_current_xact_id())
               OR EXISTS (SELECT 1 FROM billing.transitions t
                          WHERE t.subject_kind = 'catalogue' AND t.subject_id = a.catalogue_version::text)) THEN
        RAISE EXCEPTION 'billing.%: the catalogue version is already imported; import a new one', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

-- The shares of a video are the whole, in whichever pieces they arrive, and no two of its intervals share a day.
CREATE OR REPLACE FUNCTION billing.refuse_partial_ownership() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE wrong text;
BEGIN
    SELECT video_id INTO wrong FROM (
        SELECT catalogue_version, video_id, to_on, sum(share_ppm) AS share_ppm,
               lead(from_on) OVER (PARTITION BY catalogue_version, video_id ORDER BY from_on) AS next_from_on
        FROM (SELECT DISTINCT catalogue_version, video_id FROM arrived) AS a JOIN billing.owners USING (catalogue_version, video_id)
        GROUP BY catalogue_version, video_id, from_on, to_on) AS intervals
    WHERE share_ppm <> 1000000 OR next_from_on < to_on LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'billing.owners: the shares of video % do not add up to 1000000', wrong;
    END IF;
    RETURN NULL;
END $$;

-- Whoever proposed something is not who puts it in force; and only the newest import can be put in force, so that versions
-- come into force in their order, each judged against the one that it replaces.
CREATE FUNCTION billing.check_terms_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record; what text := replace(NEW.subject_kind, '_', ' ') || ' ' || NEW.subject_id;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('viewledger.billing.import'));
    IF NEW.subject_kind = 'catalogue' THEN
        SELECT catalogue_version::text AS id, actor, login INTO made FROM billing.catalogue_versions
        ORDER BY catalogue_version DESC LIMIT 1;
    ELSIF NEW.subject_kind = 'contract' THEN
        SELECT contract_version::text AS id, actor, login INTO made FROM billing.rate_cards
        ORDER BY contract_version DESC LIMIT 1;
    ELSE
        SELECT payee_id || ':' || account_version AS id, actor, login INTO made FROM billing.bank_accounts
        WHERE payee_id = regexp_replace(NEW.subject_id, ':[0-9]+$', '') ORDER BY account_version DESC LIMIT 1;
    END IF;
    IF made.id IS DISTINCT FROM NEW.subject_id THEN
        RAISE EXCEPTION '% was overtaken by %; import again what is to come into force', what, coalesce(made.id, 'nothing');
    END IF;
    PERFORM billing.refuse_same_person(what, made.login, coalesce(made.actor, made.login), NEW.actor);
    RETURN NEW;
END $$;
CREATE TRIGGER terms_come_into_force BEFORE INSERT ON billing.transitions FOR EACH ROW
    WHEN (NEW.subject_kind IN ('catalogue', 'contract', 'bank_account') AND NEW.from_state = 'proposed'
          AND NEW.to_state = 'in_force')
    EXECUTE FUNCTION billing.check_terms_step();

-- The owner's steps are those of the database's own functions; no login acts as the owner.
CREATE OR REPLACE FUNCTION billing.refuse_other_roles() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE step record;
BEGIN
    FOR step IN SELECT DISTINCT a.subject_kind, a.to_state, a.roles FROM arrived
                JOIN billing.allowed_transitions a USING (subject_kind, from_state, to_state) LOOP
        IF NOT EXISTS (SELECT 1 FROM unnest(step.roles) AS role WHERE billing.acts_as(role)
                       OR role = 'viewledger_owner' AND current_user = 'viewledger_owner') THEN
            RAISE EXCEPTION 'a % becomes % in the role %; the login % has it not, or acts in another', step.subject_kind,
                step.to_state, array_to_string(step.roles, ' or '), session_user;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Money is calculated by what is in force, or once was, and instructed to accounts in force alone.
CREATE FUNCTION billing.refuse_terms_not_in_force() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM billing.catalogues_in_force WHERE catalogue_version = NEW.catalogue_version)
       OR NOT EXISTS (SELECT 1 FROM billing.contracts_in_force WHERE contract_version = NEW.contract_version) THEN
        RAISE EXCEPTION 'catalogue % or contract % was never in force; nothing is billed by it',
            NEW.catalogue_version, NEW.contract_version;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER runs_by_terms_in_force BEFORE INSERT ON billing.runs
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_terms_not_in_force();

CREATE FUNCTION billing.refuse_accounts_not_in_force() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE wrong text;
BEGIN
    SELECT a.payee_id INTO wrong FROM arrived a
    WHERE NOT EXISTS (SELECT 1 FROM billing.bank_accounts_in_force f
                      WHERE f.payee_id = a.payee_id AND f.account_version = a.account_version) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the bank account of payee % is not in force; nothing is paid to it', wrong;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER items_to_accounts_in_force AFTER INSERT ON billing.payout_items REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_accounts_not_in_force();

DO $$
DECLARE each regprocedure; name text; reader record;
BEGIN
    FOREACH each IN ARRAY ARRAY['billing.stamp_import()', 'billing.waits(text, text)', 'billing.catalogue_changes(bigint)', 'billing.judge_import()',
            'billing.check_terms_step()', 'billing.refuse_terms_not_in_force()',
            'billing.refuse_accounts_not_in_force()']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO viewledger_owner', each);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', each);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['catalogues_in_force', 'contracts_in_force', 'bank_accounts_in_force', 'proposals'] LOOP
        EXECUTE format('ALTER VIEW billing.%I OWNER TO viewledger_owner', name);
    END LOOP;
    -- whoever reads the versions reads which are in force
    FOR reader IN SELECT DISTINCT grantee, table_name FROM information_schema.role_table_grants
                  WHERE table_schema = 'billing' AND privilege_type = 'SELECT' AND grantee <> 'viewledger_owner'
                    AND table_name IN ('catalogue_versions', 'rate_cards', 'bank_accounts') LOOP
        EXECUTE format('GRANT SELECT ON billing.%I TO %I', CASE reader.table_name
            WHEN 'catalogue_versions' THEN 'catalogues_in_force' WHEN 'rate_cards' THEN 'contracts_in_force'
            ELSE 'bank_accounts_in_force' END, reader.grantee);
    END LOOP;
END $$;
GRANT SELECT ON billing.proposals TO viewledger_billing, viewledger_approver, viewledger_auditor, viewledger_api;
GRANT EXECUTE ON FUNCTION billing.catalogue_changes(bigint), billing.waits(text, text)
    TO viewledger_billing, viewledger_approver, viewledger_importer, viewledger_auditor;
