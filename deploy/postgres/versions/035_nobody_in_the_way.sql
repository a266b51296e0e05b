-- Nobody who may only read, or propose, stands in the way of those who write.

-- Locks. Whoever may connect may take any advisory lock, and keep it. These locks are on tables that only their owner may lock,
-- by functions that only writers may call.
CREATE TABLE billing.ledger_lock (only_row boolean);
COMMENT ON TABLE billing.ledger_lock IS 'Has no rows: locked by whoever writes the ledger.';
CREATE TABLE billing.import_lock (only_row boolean);
COMMENT ON TABLE billing.import_lock IS 'Has no rows: locked by whoever imports, or puts an import in force.';
ALTER TABLE billing.ledger_lock OWNER TO viewledger_owner;
ALTER TABLE billing.import_lock OWNER TO viewledger_owner;

CREATE OR REPLACE FUNCTION billing.lock_ledger() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the books are written in database transactions that are READ COMMITTED, not %',
            upper(current_setting('transaction_isolation'));
    END IF;
    LOCK TABLE billing.ledger_lock IN EXCLUSIVE MODE;
END $$;

CREATE FUNCTION billing.lock_imports() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    LOCK TABLE billing.import_lock IN EXCLUSIVE MODE;
END $$;
ALTER FUNCTION billing.lock_imports() OWNER TO viewledger_owner;
GRANT EXECUTE ON FUNCTION billing.lock_imports() TO viewledger_billing, viewledger_approver, viewledger_importer;

CREATE OR REPLACE FUNCTION billing.stamp_import() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    PERFORM billing.lock_imports();
    NEW.imported_at := clock_timestamp();
    IF TG_TABLE_NAME = 'catalogue_versions' THEN
        NEW.imported_by := pg_current_xact_id();
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION billing.check_terms_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE made record; what text := replace(NEW.subject_kind, '_', ' ') || ' ' || NEW.subject_id;
BEGIN
    PERFORM billing.lock_imports();
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

-- An INSERT locks the journal before it takes a position, and keeps that lock to the end of its database transaction: whoever
-- has the one that excludes it knows that no lower position can appear any more.
CREATE OR REPLACE FUNCTION billing.note_in_journal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO billing.journal (kind, key) SELECT %L, %s FROM arrived ORDER BY 2',
                   TG_ARGV[0], TG_ARGV[1]);   -- an expression of a migration, never of a client
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.close_journal(OUT position_end bigint, OUT cut_at timestamptz) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, billing, pg_temp AS $$
BEGIN
    LOCK TABLE billing.journal IN SHARE MODE;
    SELECT coalesce(max(position), 0) + 1, clock_timestamp() INTO position_end, cut_at FROM billing.journal;
END $$;

-- Days and instants that no program can hold (before the year 1, after 9999, infinity) would end whoever reads them.
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT n.nspname AS home, c.relname AS name, a.attname AS field, a.atttypid = 'date'::regtype AS is_day
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname IN ('access', 'billing', 'ingestion', 'published') AND c.relkind = 'r' AND a.attnum > 0
                  AND NOT a.attisdropped AND a.atttypid IN ('date'::regtype, 'timestamptz'::regtype) LOOP
        EXECUTE format('ALTER TABLE %I.%I ADD CONSTRAINT %I CHECK (%I BETWEEN %s) NOT VALID', each.home, each.name,
                       each.name || '_' || each.field || '_readable', each.field,
                       CASE WHEN each.is_day THEN '''0001-01-01'' AND ''9999-12-31'''
                            ELSE '''0001-01-02 00:00+00'' AND ''9999-12-30 00:00+00''' END);
    END LOOP;
END $$;
-- Nor documents of more digits than a program takes for a number.
ALTER TABLE billing.statements ADD CONSTRAINT statements_outcomes_readable CHECK (length(outcomes::text) <= 4000) NOT VALID,
    ADD CONSTRAINT statements_causes_readable CHECK (length(causes::text) <= 4000) NOT VALID;
ALTER TABLE billing.runs ADD CONSTRAINT runs_bounds_readable CHECK (length(bounds::text) <= 4000) NOT VALID,
    ADD CONSTRAINT runs_waived_readable CHECK (length(waived::text) <= 4000) NOT VALID;

-- A run bills what is over, or nearly: a period to come would keep everybody's months from being billed.
CREATE OR REPLACE FUNCTION billing.stamp_run() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, billing, pg_temp AS $$
DECLARE today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    NEW.started_at := clock_timestamp();
    IF NEW.period_end_on > today + 62 THEN
        RAISE EXCEPTION 'period %/% is not over; what ends at most 62 days after % (today, UTC) can be billed',
            NEW.period_start_on, NEW.period_end_on, today;
    END IF;
    NEW.approval_limit_micros := least(NEW.approval_limit_micros, CASE NEW.kind WHEN 'restatement' THEN -1
                                                                  ELSE billing.approval_limit(NEW.currency) END);
    RETURN NEW;
END $$;

-- As before, and: a payee or video that was in force once, went, and comes back is not new. Else whoever imports could give it
-- to another as soon as it is gone.
CREATE INDEX videos_by_id ON billing.videos (video_id);
CREATE OR REPLACE FUNCTION billing.catalogue_changes(of_version bigint, OUT what text, OUT added bigint, OUT changed bigint,
                                          OUT gone bigint, OUT moving bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing, pg_temp AS $$
    WITH base AS (SELECT coalesce(max(catalogue_version), 0) AS version FROM billing.catalogues_in_force
                  WHERE catalogue_version < of_version),
    earlier AS (SELECT catalogue_version FROM billing.catalogues_in_force WHERE catalogue_version < (SELECT version FROM base)),
    payees AS (
        SELECT b.payee_id IS NULL AS is_new, b.payee_id IS NULL AND EXISTS (
                   SELECT FROM billing.payees p JOIN earlier USING (catalogue_version) WHERE p.payee_id = n.payee_id) AS is_back, n.payee_id IS NULL AS is_gone,
               (b.name, b.user_id, b.country) IS DISTINCT FROM (n.name, n.user_id, n.country) AS differs,
               (b.user_id, b.country) IS DISTINCT FROM (n.user_id, n.country) AS moves
        FROM (SELECT * FROM billing.payees WHERE catalogue_version = (SELECT version FROM base)) AS b
        FULL JOIN (SELECT * FROM billing.payees WHERE catalogue_version = of_version) AS n USING (payee_id)),
    videos AS (
        SELECT video_id, b.video_id IS NULL AS is_new, b.video_id IS NULL AND EXISTS (
                   SELECT FROM billing.videos v JOIN earlier USING (catalogue_version) WHERE v.video_id = n.video_id) AS is_back,
               n.video_id IS NULL AS is_gone,
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
           count(*) FILTER (WHERE is_gone), count(*) FILTER (WHERE is_back OR NOT is_new AND (is_gone OR moves)) FROM payees
    UNION ALL
    SELECT 'videos', count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new AND NOT is_gone AND differs),
           count(*) FILTER (WHERE is_gone), count(*) FILTER (WHERE is_back OR NOT is_new AND (is_gone OR differs)) FROM videos
    UNION ALL
    SELECT 'owners', count(*) FILTER (WHERE o.is_new), count(*) FILTER (WHERE NOT o.is_new AND NOT o.is_gone AND o.differs),
           count(*) FILTER (WHERE o.is_gone), count(*) FILTER (WHERE o.differs AND NOT v.is_new)
    FROM owners o JOIN videos v USING (video_id)
$$;

-- As before, and: a hold whose time was over, and whose amount was paid since, takes nothing.
CREATE OR REPLACE FUNCTION billing.check_entries() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, billing, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    named text[];
    posted bigint[];
    total numeric;
    due billing.due_postings;
    wrong text;
    standing bigint;
BEGIN
    SELECT array_agg(account ORDER BY entry_index), array_agg(amount_micros ORDER BY entry_index),
           coalesce(sum(amount_micros), 0)
    INTO named, posted, total FROM billing.entries WHERE transaction_id = NEW.transaction_id;
    IF coalesce(cardinality(named), 0) <> NEW.entry_count THEN
        RAISE EXCEPTION 'transaction % has % entries and says %',
            NEW.transaction_id, coalesce(cardinality(named), 0), NEW.entry_count;
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'transaction % does not sum to zero: % micros over', NEW.transaction_id, total;
    END IF;
    SELECT d.* INTO due FROM billing.due_postings d
    WHERE d.kind = NEW.kind AND d.subject_id = substr(NEW.idempotency_key, length(NEW.kind) + 2);
    wrong := billing.posting_problem(NEW, due, named, posted);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % (%) of payee %: %', NEW.transaction_id, NEW.idempotency_key, NEW.payee_id, wrong;
    END IF;
    IF NEW.statement_id IS NOT NULL THEN
        SELECT sum(CASE t.kind WHEN 'reversal' THEN -1 ELSE 1 END) INTO standing
        FROM billing.statements own
        JOIN billing.statements s ON s.payee_id = own.payee_id COLLATE "C" AND s.period_start_on = own.period_start_on
             AND s.period_end_on = own.period_end_on
        JOIN billing.transactions t ON t.statement_id = s.statement_id
        WHERE own.statement_id = NEW.statement_id;
        IF standing <> 1 THEN
            RAISE EXCEPTION 'transaction % (%) of payee % leaves % statements of its period in force, and not 1',
                NEW.transaction_id, NEW.idempotency_key, NEW.payee_id, standing;
        END IF;
    ELSIF NEW.kind = 'payout' AND billing.available_micros(NEW.payee_id, NEW.currency) < 0 THEN
        RAISE EXCEPTION 'transaction % (%) pays % micros % more than payee % is owed and nothing keeps back',
            NEW.transaction_id, NEW.idempotency_key, -billing.available_micros(NEW.payee_id, NEW.currency), NEW.currency,
            NEW.payee_id;
    ELSIF NEW.kind = 'hold_voided' AND billing.available_micros(NEW.payee_id, NEW.currency) < 0 THEN
        RAISE EXCEPTION 'transaction % (%) takes from payee % more than is owed by now; the rest was paid, or is on hold',
            NEW.transaction_id, NEW.idempotency_key, NEW.payee_id;
    END IF;
    RETURN NULL;
END $$;
