-- makes a type that a rule would use
CREATE DOMAIN pg_temp.text AS pg_catalog.text;

-- makes a temporary table
CREATE TEMPORARY TABLE arrived (position bigint);

-- makes a temporary function
CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamptz';

-- makes a schema
CREATE SCHEMA mallory;

-- makes a function for everybody
CREATE FUNCTION public.hashtext(text) RETURNS integer LANGUAGE sql AS 'SELECT 1';

-- makes an operator for everybody
CREATE OPERATOR public.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.texteq);

-- makes a function in the books
CREATE FUNCTION billing.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1';
