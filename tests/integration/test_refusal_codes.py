"""Each rule of the database refuses by a code of its own: what is in force raises it, and the table explains it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from billing.errors import DatabaseRefusedError
from billing.postgres_session import connector, one_transaction
from ingestion.contract.refusals import DatabaseRule
from jobs.wiring.migrations import migrate
from tests.billing_postgres import empty_database, own_database
from tests.books_of_last_release import migrate_to_last_release

FUNCTIONS = """
    SELECT p.oid::regprocedure::text, l.lanname, p.prosrc, pg_get_userbyid(p.proowner), p.prosecdef, p.proconfig,
           p.proacl::text[], p.provolatile::text
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
RAISED = re.compile(r"\bRAISE\b(?:'(?:[^']|'')*'|[^';])*;", re.IGNORECASE)
"""A statement that raises, to its semicolon; one in a sentence does not end it."""
WITH_A_CODE = re.compile(r"^RAISE EXCEPTION .*\sUSING ERRCODE = '(VL\d{3})';$", re.DOTALL)
BEFORE_CODES = "035"
"""The newest migration whose functions raised without codes of their own."""
STRICTER = {"billing.refuse_late_items()": " OR b.xmin <> pg_current_xact_id()::xid"}
"""Function → what a later migration demands besides, word for word."""

Functions = Mapping[str, tuple[object, ...]]


def functions(url: str) -> Functions:
    """Return what is known of each function in force that is not PostgreSQL's: language, source, owner, and so on."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(FUNCTIONS)
        return {name: tuple(rest) for name, *rest in cursor}


def raised(found: Functions) -> list[str]:
    """Return every statement of these functions that raises."""
    sources = [re.sub(r"--[^\n]*", "", str(source)) for _, source, *_ in found.values()]
    return [statement for source in sources for statement in RAISED.findall(source)]


def without_code(found: Functions) -> list[str]:
    """Return the statements that raise by no code of ours."""
    return [statement for statement in raised(found) if not WITH_A_CODE.match(statement)]


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        yield own


def test_every_function_in_force_that_refuses_has_a_code_of_its_own_that_the_table_explains(url: str) -> None:
    found = functions(url)
    assert {language for language, *_ in found.values()} <= {"plpgsql", "sql"}, "these can be read"
    assert not [name for name, (_, source, *_) in found.items() if re.search(r"\b(ASSERT|STRICT)\b", str(source))]
    assert without_code(found) == []
    codes = [match[1] for statement in raised(found) if (match := WITH_A_CODE.match(statement))]
    assert len(codes) > 40
    assert sorted(codes) == sorted(rule.sqlstate for rule in DatabaseRule), "one statement for a code, both ways"


@pytest.mark.parametrize(
    "statement",
    [
        "RAISE EXCEPTION 'no; it is not'",
        "raise exception 'no %', 1",
        "RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'",
        "RAISE division_by_zero",
        "RAISE",
    ],
)
def test_a_function_that_refuses_without_a_code_is_noticed(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE FUNCTION billing.mine() RETURNS void LANGUAGE plpgsql AS $$BEGIN {statement}; END$$")
        cursor.execute(FUNCTIONS)
        assert without_code({name: tuple(rest) for name, *rest in cursor}) == [f"{statement};"]
        connection.rollback()


def test_a_refusal_reaches_python_by_its_code_and_another_error_is_none(url: str) -> None:
    connect = connector(url, "viewledger_billing")
    serializable = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT billing.lock_ledger()"
    answer = r"^the ledger is written in READ COMMITTED .* \(VL302\)$"
    with pytest.raises(DatabaseRefusedError, match=answer) as refused, one_transaction(connect) as cursor:
        cursor.execute(serializable)
    assert refused.value.is_by(DatabaseRule.READ_COMMITTED)
    assert not refused.value.is_by(DatabaseRule.ONE_OPEN_APPEAL)
    with pytest.raises(psycopg2.errors.DivisionByZero), one_transaction(connect) as cursor:
        cursor.execute("SELECT 1 / 0")


def test_upgrading_changes_what_is_said_and_nothing_of_what_is_checked(postgres_url: str, tmp_path: Path) -> None:
    with empty_database(postgres_url) as url:
        migrate_to_last_release(url, tmp_path / "postgres", BEFORE_CODES)
        before = functions(url)
        assert without_code(before)
        assert migrate(url)[0] > BEFORE_CODES
        after = functions(url)

    def checks(found: Functions) -> Functions:
        return {
            name: (
                language,
                re.sub(r"\s+", " ", RAISED.sub("RAISE;", str(source))).replace(STRICTER.get(name, ""), ""),
                *rest,
            )
            for name, (language, source, *rest) in found.items()
            if RAISED.search(str(source))
        }

    # what a later migration adds is a rule of its own
    assert {name: check for name, check in checks(after).items() if name in before} == checks(before)
