-- Who may do what. A login gets one of these roles (or several, and narrows itself by SET ROLE, as the commands do).
-- Nobody logs in as the owner. Roles belong to the whole server: another database may have made them already.

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['viewledger_owner', 'viewledger_billing', 'viewledger_approver', 'viewledger_api',
                                'viewledger_auditor'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
            END;
        END IF;
        IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', name, current_user);
            EXCEPTION WHEN unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA billing, published TO viewledger_owner, viewledger_billing, viewledger_approver, viewledger_api,
    viewledger_auditor;
GRANT CREATE ON SCHEMA billing TO viewledger_owner;
GRANT REFERENCES, SELECT ON published.versions TO viewledger_owner;

-- Every table, view and function of the schema belongs to the owner, who cannot log in.
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT relname, relkind FROM pg_class WHERE relnamespace = 'billing'::regnamespace
                AND relkind IN ('r', 'v') LOOP
        EXECUTE format('ALTER %s billing.%I OWNER TO viewledger_owner',
                       CASE each.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, each.relname);
    END LOOP;
    FOR each IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'billing'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO viewledger_owner', each.name);
    END LOOP;
END $$;

-- The auditor reads everything.
GRANT SELECT ON ALL TABLES IN SCHEMA billing, published TO viewledger_auditor;

-- Billing reads and adds. It never changes or removes a row, and it approves nothing that is above the limit.
GRANT SELECT ON ALL TABLES IN SCHEMA billing, published TO viewledger_billing;
GRANT INSERT ON billing.catalogue_versions, billing.payees, billing.videos, billing.owners, billing.rate_cards, billing.runs,
    billing.statements, billing.payment_audit, billing.notices, billing.transitions, billing.transactions,
    billing.entries TO viewledger_billing;

-- The approver reads and decides.
GRANT SELECT ON ALL TABLES IN SCHEMA billing, published TO viewledger_approver;
GRANT INSERT ON billing.transitions TO viewledger_approver;

-- The API reads what payees are shown.
GRANT SELECT ON billing.catalogue_versions, billing.payees, billing.videos, billing.owners, billing.rate_cards, billing.runs,
    billing.statements, billing.payment_audit, billing.notices, billing.transitions, billing.current_states,
    billing.transactions, billing.entries TO viewledger_api;
GRANT SELECT ON ALL TABLES IN SCHEMA published TO viewledger_api;
