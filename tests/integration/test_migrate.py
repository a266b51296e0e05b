import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.migrate import MIGRATIONS, Migration, migrate, read_migrations

ONE = Migration("001_one", "create table one (number int)")
TWO = Migration("002_two", "create table two (number int); insert into one values (2)")


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database of its own."""
    name = f"test_{uuid.uuid4().hex}"
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    connection.cursor().execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield postgres_url.rpartition("/")[0] + "/" + name
    connection.cursor().execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    connection.close()


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    finally:
        connection.close()


def test_migrations_are_applied_in_order_and_once(database_url: str) -> None:
    assert migrate(database_url, (ONE,)) == ("001_one",)
    assert migrate(database_url, (ONE, TWO)) == ("002_two",)
    assert migrate(database_url, (ONE, TWO)) == ()
    assert rows(database_url, "select number from one") == [(2,)]


def test_no_migration_at_all_is_fine(database_url: str) -> None:
    assert migrate(database_url, ()) == ()


def test_a_migration_that_fails_is_undone_as_a_whole_and_the_earlier_ones_stay(database_url: str) -> None:
    broken = Migration("002_two", "create table two (number int); insert into nowhere values (1)")
    with pytest.raises(
        CommandError, match=r"migration 002_two failed and was undone: relation .nowhere. does not exist"
    ):
        migrate(database_url, (ONE, broken))
    assert rows(database_url, "select to_regclass('two')::text, to_regclass('one')::text") == [(None, "one")]
    assert migrate(database_url, (ONE, TWO)) == ("002_two",)


def test_a_file_that_changed_after_it_was_applied_is_refused(database_url: str) -> None:
    migrate(database_url, (ONE,))
    with pytest.raises(CommandError, match="001_one was changed after it was applied") as caught:
        migrate(database_url, (Migration("001_one", ONE.sql + " "), TWO))
    assert caught.value.code is ExitCode.REFUSED
    assert rows(database_url, "select to_regclass('two')") == [(None,)]


def test_two_migrations_at_once_wait_for_each_other(database_url: str) -> None:
    slow = Migration("001_one", ONE.sql + "; select pg_sleep(0.3)")
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(database_url, (slow, TWO)), range(4)))
    assert sorted(applied) == [(), (), (), ("001_one", "002_two")]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(CommandError, match="VIEWLEDGER_POSTGRES_URL") as caught:
        migrate("postgresql://nobody:secret@127.0.0.1:1/none", ())
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert "secret" not in str(caught.value)


def test_the_projects_own_migrations_apply_to_an_empty_database(database_url: str) -> None:
    ours = read_migrations(MIGRATIONS)
    assert migrate(database_url, ours) == tuple(migration.name for migration in ours)


@pytest.mark.parametrize("names", [["one.sql"], ["1_one.sql"], ["001_a.sql", "001_b.sql"]])
def test_files_without_a_number_of_their_own_are_refused(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    with pytest.raises(CommandError) as caught:
        read_migrations(tmp_path)
    assert caught.value.code is ExitCode.BAD_INPUT
