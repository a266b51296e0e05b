"""What a login makes is never found by a function of the ledger's owner, tried as a login of its own."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from tests.billing_postgres import own_database
from tests.postgres_people import person

SCHEMAS = ("access", "billing", "ingestion", "published", "reporting")
SHADOWS = (
    "SET search_path = pg_temp, pg_catalog",
    "CREATE FUNCTION pg_temp.mine(anyelement) RETURNS boolean LANGUAGE plpgsql AS "
    "$$BEGIN CREATE TABLE billing.loot (whose text); RETURN true; END$$",
    "CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.mine(VALUE))",
)
"""A type of the client's own under the name of one that the journal's expression uses."""
IMPORT = (
    "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) "
    "SELECT max(catalogue_version) + 1, 'x', 'x' FROM billing.catalogue_versions"
)


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        yield own


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def refused(url: str, *statements: str) -> str:
    """Run statements in one database transaction; return why PostgreSQL refused them, nothing where it did not."""
    with closing(psycopg2.connect(url)) as connection:
        try:
            with connection, connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        except psycopg2.Error as error:
            return str(error)
    return ""


def test_an_importer_makes_no_temporary_objects_and_runs_nothing_as_the_owner(url: str) -> None:
    with person(url, "viewledger_importer") as importer:
        assert "permission denied" in refused(importer, *SHADOWS, IMPORT)
        assert refused(importer, IMPORT) == ""
    assert rows(url, "SELECT to_regclass('billing.loot')::text") == [(None,)]


def test_types_of_an_importer_are_not_found_even_where_temporary_objects_are_allowed(url: str) -> None:
    name = url.rpartition("/")[2]
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO viewledger_importer')
    with person(url, "viewledger_importer") as importer:
        assert refused(importer, *SHADOWS, IMPORT) == ""
    assert rows(url, "SELECT to_regclass('billing.loot')::text") == [(None,)]
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM viewledger_importer')


def test_every_function_has_a_fixed_search_path_with_temporary_objects_last(url: str) -> None:
    found = rows(
        url,
        "SELECT p.oid::regprocedure::text, n.nspname, coalesce(p.proconfig, '{}') FROM pg_proc p "
        f"JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY (ARRAY{list(SCHEMAS)})",
    )
    assert len(found) > 20
    wrong = [name for name, home, config in found if f"search_path=pg_catalog, {home}, pg_temp" not in config]
    assert not wrong, f"say SET search_path = pg_catalog, <schema>, pg_temp when you make them: {wrong}"


def test_nobody_has_a_right_just_by_being_there(url: str) -> None:
    functions = rows(
        url,
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        f"WHERE n.nspname = ANY (ARRAY{list(SCHEMAS)}) AND EXISTS (SELECT 1 FROM "
        "aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)",
    )
    assert not functions, f"REVOKE EXECUTE … FROM PUBLIC, then GRANT to who calls it: {functions}"
    relations = rows(
        url,
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = ANY (ARRAY{[*SCHEMAS, 'public']}) "
        "AND EXISTS (SELECT 1 FROM aclexplode(c.relacl) a WHERE a.grantee = 0)",
    )
    assert not relations
    database = rows(
        url,
        "SELECT a.privilege_type FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
        "WHERE d.datname = current_database() AND a.grantee = 0",
    )
    assert database == [("CONNECT",)]


@pytest.mark.parametrize("schema", [*SCHEMAS, "public"])
def test_a_login_without_a_role_makes_nothing_in_any_schema(url: str, schema: str) -> None:
    with person(url) as stranger:
        assert "permission denied" in refused(stranger, f"CREATE TABLE {schema}.mine (a integer)")
        assert "permission denied" in refused(stranger, "CREATE TEMPORARY TABLE mine (a integer)")


def test_a_function_of_a_later_migration_is_nobodys_until_it_is_granted(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION billing.later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        cursor.execute("SELECT has_function_privilege('viewledger_api', 'billing.later()', 'EXECUTE')")
        assert cursor.fetchone() == (False,)
        connection.rollback()
