"""Try every role of the database against every table, column, sequence, function, trigger and schema.

Each role gets a real login that has it alone; the login tries each statement on a connection of its own, and everything
is undone. A statement that PostgreSQL refuses for a missing right shows that the login lacks it; any other outcome
shows that the login has it.
For a throw-away database: sequences do not take back their numbers.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

from billing.proof.postgres_rules import ROLES

DECLARED = Path(__file__).with_name("rights.txt")
"""The rights of each role: a line for each thing in the database, with the roles (unprefixed) of each right."""
OWNER = "viewledger_owner"
SCHEMAS = ("access", "billing", "ingestion", "published", "reporting", "staging", "public")
CANNOT_BE_DONE_TO_A_VIEW = (
    errors.ObjectNotInPrerequisiteState,
    errors.WrongObjectType,
    errors.FeatureNotSupported,
    errors.GeneratedAlways,
)
NOBODY = "nobody"
"""A login without any role."""

_COLUMNS = """
    SELECT c.oid::regclass::text, c.relkind::text, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.relnamespace = ANY (%s::regnamespace[])
    GROUP BY 1, 2 ORDER BY 1"""
_SEQUENCES = """
    SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND relnamespace = ANY (%s::regnamespace[])
    ORDER BY 1"""
_FUNCTIONS = """
    SELECT p.oid::regprocedure::text, p.oid::regproc::text,
           ARRAY(SELECT t::regtype::text FROM unnest(p.proargtypes) AS t)
    FROM pg_proc p WHERE p.pronamespace = ANY (%s::regnamespace[]) ORDER BY 1"""
_TRIGGERS = """
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
    WHERE NOT tgisinternal AND c.relnamespace = ANY (%s::regnamespace[]) ORDER BY 1, 2"""
_WHOLE = {
    "SELECT": "SELECT * FROM {table} LIMIT 0",
    "DELETE": "DELETE FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table}",
    "TRIGGER": "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "ALTER": "ALTER TABLE {table} ADD COLUMN mine integer",
    "DROP": "DROP TABLE {table}",
}
_OF_A_COLUMN = {
    "INSERT": "INSERT INTO {table} ({column}) VALUES (DEFAULT)",
    "UPDATE": "UPDATE {table} SET {column} = DEFAULT WHERE false",
}
# SELECT FOR UPDATE and REFERENCES need rights that are tried above, or that change nothing.


Rights = Mapping[str, Mapping[str, str]]
"""Kind and name of a thing → right → the roles that have it, without their prefix, in order, separated by spaces."""


def rights_there_are(urls: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the rights of each login; a thing without any rights is included.

    `urls` names the login of each role.
    """
    with closing(_connected(next(iter(urls.values())))) as connection:
        things = _things(connection)
    roles: dict[str, defaultdict[str, set[str]]] = {name: defaultdict(set) for name, _ in things}
    for role, url in urls.items():
        with closing(_connected(url)) as connection:
            for name, tries in things:
                for right in _rights(connection, tries, is_view=name.startswith("view ")):
                    roles[name][right].add(role.removeprefix("viewledger_"))
    return {
        name: {right: " ".join(sorted(roles_of)) for right, roles_of in sorted(rights.items())}
        for name, rights in roles.items()
    }


def declared_rights(text: str) -> dict[str, dict[str, str]]:
    """Return the rights that a text declares, such as that of DECLARED."""
    declared = {}
    for line in text.splitlines():
        name, *rights = line.split(" | ")
        declared[name] = {right: roles for right, _, roles in (each.partition(" = ") for each in rights)}
    return declared


def declaration_of(rights: Rights) -> str:
    """Return the text that declares rights."""
    lines = [" | ".join([name, *(f"{right} = {roles}" for right, roles in rights[name].items())]) for name in rights]
    return "\n".join(sorted(lines)) + "\n"


def differences(found: Rights, declared: Rights) -> list[str]:
    """Return a sentence for each undeclared right, each missing right, and each unknown thing."""
    sentences = [f"{name} is declared and not in the database" for name in sorted(declared.keys() - found.keys())]
    for name in sorted(found):
        if name not in declared:
            sentences.append(f"{name} is in the database and not declared: {_words(found[name])}")
            continue
        for right in sorted(found[name].keys() | declared[name].keys()):
            can, may = (set(rights[name].get(right, "").split()) for rights in (found, declared))
            sentences += [f"{role} can {right} {name}, which is not declared" for role in sorted(can - may)]
            sentences += [f"{role} cannot {right} {name}, which is declared" for role in sorted(may - can)]
    return sentences


@contextmanager
def role_logins(url: str) -> Iterator[dict[str, str]]:
    """Yield for each role (and for none) the URL of a new login that has it alone; the login of `url` makes roles."""
    with ExitStack() as cleaning:
        urls = {}
        for role in (*(each for each in ROLES if each != OWNER), NOBODY):
            login, password = f"tries_{role.removeprefix('viewledger_')}_{secrets.token_hex(3)}", secrets.token_hex(16)
            member = "" if role == NOBODY else f" IN ROLE {role}"
            _administer(url, f"CREATE ROLE {login} LOGIN PASSWORD '{password}'{member}")
            cleaning.callback(_administer, url, f"DROP ROLE {login}")
            urls[role] = f"postgresql://{login}:{password}@{url.rpartition('@')[2]}"
        yield urls


Tries = Sequence[tuple[str, str, str]]
"""Right, the column that it is for (or nothing), and a statement that needs it."""


def _things(connection: Connection) -> list[tuple[str, Tries]]:
    schemas = (list(SCHEMAS),)
    with connection, connection.cursor() as cursor:
        cursor.execute(_COLUMNS, schemas)
        things = [
            (f"{'view' if kind == 'v' else 'table'} {table}", _of_table(table, columns))
            for table, kind, columns in cursor
        ]
        cursor.execute(_SEQUENCES, schemas)
        things += [(f"sequence {name}", _of_sequence(name)) for (name,) in cursor]
        cursor.execute(_FUNCTIONS, schemas)
        things += [(f"function {name}", _of_function(called, types)) for name, called, types in cursor]
        cursor.execute(_TRIGGERS, schemas)
        things += [(f"trigger {name} of {table}", _of_trigger(table, name)) for table, name in cursor]
    things += [(f"schema {name}", [("CREATE", "", f"CREATE TABLE {name}.mine (a integer)")]) for name in SCHEMAS]
    things += [(f"role {name}", [("SET", "", f"SET LOCAL ROLE {name}")]) for name in ROLES]
    beyond = [
        ("TEMPORARY", "", "CREATE TEMPORARY TABLE mine (a integer)"),
        ("SCHEMA", "", "CREATE SCHEMA mine"),
        ("ROLE", "", "CREATE ROLE mine LOGIN"),
        ("MEMBER", "", f"GRANT {OWNER} TO CURRENT_USER"),
        ("REPLICA", "", "SET LOCAL session_replication_role = replica"),
        ("AUTHORIZATION", "", f"SET SESSION AUTHORIZATION {OWNER}"),
        ("PROGRAM", "", "COPY (SELECT 1) TO PROGRAM 'true'"),
        ("FILE", "", "COPY (SELECT 1) TO '/dev/null'"),
    ]
    return [*things, ("the server", beyond)]


def _of_table(table: str, columns: Sequence[str]) -> Tries:
    tries = [(right, "", statement.format(table=table)) for right, statement in _WHOLE.items()]
    for right, statement in _OF_A_COLUMN.items():
        tries += [(right, column, statement.format(table=table, column=f'"{column}"')) for column in columns]
    return tries


def _of_sequence(name: str) -> Tries:
    return [
        ("NEXTVAL", "", f"SELECT nextval('{name}')"),
        ("SETVAL", "", f"SELECT setval('{name}', 1, false)"),
        ("SELECT", "", f"SELECT * FROM {name}"),  # noqa: S608  a name from pg_catalog
        ("ALTER", "", f"ALTER SEQUENCE {name} CYCLE"),
    ]


def _of_function(called: str, types: Sequence[str]) -> Tries:
    values = ", ".join(f"NULL::{each}" for each in types)
    return [("EXECUTE", "", f"SELECT {called}({values})"), ("ALTER", "", f"ALTER FUNCTION {called} RESET ALL")]


def _of_trigger(table: str, name: str) -> Tries:
    return [
        ("DISABLE", "", f'ALTER TABLE {table} DISABLE TRIGGER "{name}"'),
        ("DROP", "", f'DROP TRIGGER "{name}" ON {table}'),
    ]


def _rights(connection: Connection, tries: Tries, *, is_view: bool) -> list[str]:
    """Return the granted rights, such as `INSERT` or `UPDATE(a, b)`; columns are named if it is not all of them."""
    columns, got = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for right, column, statement in tries:
        columns[right].append(column)
        if _gets_through(connection, statement, is_view=is_view):
            got[right].append(column)
    return [right if got[right] == columns[right] else f"{right}({', '.join(got[right])})" for right in got]


def _gets_through(connection: Connection, statement: str, *, is_view: bool) -> bool:
    """Return whether a statement does more than fail for a missing right; it is undone."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except errors.InsufficientPrivilege as error:
        # a trigger of a row that the login may write refuses in its own way, or needs a right that the login lacks
        return "PL/pgSQL" in str(error)
    except CANNOT_BE_DONE_TO_A_VIEW:
        return not is_view
    except psycopg2.Error:
        return True
    finally:
        connection.rollback()
    return True


def _connected(url: str) -> Connection:
    return psycopg2.connect(url, connect_timeout=10, options="-c lock_timeout=2000 -c statement_timeout=5000")


def _administer(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement))


def _words(rights: Mapping[str, str]) -> str:
    return "; ".join(f"{roles} can {right}" for right, roles in rights.items()) or "nobody can anything"
