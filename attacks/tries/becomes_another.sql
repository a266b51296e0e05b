-- becomes the owner
SET ROLE viewledger_owner;

-- becomes the superuser
SET SESSION AUTHORIZATION postgres;

-- gives itself a role
GRANT viewledger_owner TO CURRENT_USER;

-- makes itself a superuser
ALTER ROLE CURRENT_USER SUPERUSER;

-- makes a login
CREATE ROLE mallory LOGIN;

-- switches triggers off
SET session_replication_role = replica;

-- switches triggers of the ledger off
ALTER TABLE billing.transactions DISABLE TRIGGER ALL;

-- replaces a rule
CREATE OR REPLACE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL;
END';

-- drops a rule
DROP TRIGGER transitions_follow ON billing.transitions;

-- takes a table over
ALTER TABLE billing.entries OWNER TO CURRENT_USER;
