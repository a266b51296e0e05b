import json
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.migrations import FORMER, MIGRATIONS, migrate, pending
from tests.billing_postgres import own_database

ONE = "create table one (number int)"
TWO = "create table two (number int); insert into one values (2); select 'a % and a :colon'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An alembic environment like the project's, without any migration yet."""
    shutil.copy(MIGRATIONS / "env.py", tmp_path)
    (tmp_path / "versions").mkdir()
    return tmp_path


def write(folder: Path, number: int, sql: str, *, after: int | None = None) -> None:
    """Migration `number`, made as the project makes its own; by default it follows the number before."""
    python = (MIGRATIONS / "versions" / "001_versions.py").read_text()
    before = after if after is not None else number - 1
    python = python.replace('"001"', f'"{number:03}"').replace("= None", f'= "{before:03}"' if before else "= None")
    (folder / "versions" / f"{number:03}_step.py").write_text(python)
    (folder / "versions" / f"{number:03}_step.sql").write_text(sql)


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


def test_migrations_are_applied_in_order_and_once(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    assert migrate(database_url, folder) == ("001_step",)
    write(folder, 2, TWO)
    assert migrate(database_url, folder) == ("002_step",)
    assert migrate(database_url, folder) == ()
    assert rows(database_url, "select number from one") == [(2,)]


def test_no_migration_at_all_is_fine(database_url: str, folder: Path) -> None:
    assert migrate(database_url, folder) == ()


def test_what_is_pending_can_be_seen_without_changing_anything(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    assert pending(database_url, folder) == ("001_step",)
    assert rows(database_url, "select count(*) from pg_tables where schemaname = 'public'") == [(0,)]
    migrate(database_url, folder)
    write(folder, 2, TWO)
    assert pending(database_url, folder) == ("002_step",)


def test_a_migration_that_fails_is_undone_as_a_whole_and_the_earlier_ones_stay(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    write(folder, 2, "create table two (number int); insert into nowhere values (1)")
    with pytest.raises(
        CommandError, match=r"migration 002_step failed and was undone: relation .nowhere. does not exist"
    ):
        migrate(database_url, folder)
    assert rows(database_url, "select to_regclass('two')::text, to_regclass('one')::text") == [(None, "one")]
    write(folder, 2, TWO)
    assert migrate(database_url, folder) == ("002_step",)


def test_a_file_that_changed_after_it_was_applied_is_refused(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    migrate(database_url, folder)
    write(folder, 1, ONE + " ")
    write(folder, 2, TWO)
    with pytest.raises(CommandError, match="001_step was changed after it was applied") as caught:
        migrate(database_url, folder)
    assert caught.value.code is ExitCode.REFUSED
    assert rows(database_url, "select to_regclass('two')") == [(None,)]


def test_a_database_of_a_newer_version_is_refused(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    write(folder, 2, TWO)
    migrate(database_url, folder)
    (folder / "versions" / "002_step.py").unlink()
    for command in (migrate, pending):
        with pytest.raises(CommandError, match="migration 002, which this version lacks") as caught:
            command(database_url, folder)
        assert caught.value.code is ExitCode.REFUSED


def test_two_migrations_that_follow_the_same_one_are_refused(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    write(folder, 2, TWO)
    write(folder, 3, TWO, after=1)
    with pytest.raises(CommandError, match="002, 003; put one after the other") as caught:
        migrate(database_url, folder)
    assert caught.value.code is ExitCode.BAD_INPUT


def test_two_migrations_at_once_wait_for_each_other(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE + "; select pg_sleep(0.3)")
    write(folder, 2, TWO)
    with ProcessPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [database_url] * 4, [folder] * 4))
    assert sorted(applied) == [(), (), (), ("001_step", "002_step")]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(CommandError, match=r"^PostgreSQL does not answer ") as caught:
        migrate("postgresql://nobody:secret@127.0.0.1:1/none")
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert "secret" not in str(caught.value)


def test_the_projects_own_migrations_apply_to_an_empty_database(database_url: str) -> None:
    files = sorted(path.stem for path in MIGRATIONS.rglob("*.sql"))
    assert migrate(database_url) == tuple(files)
    assert pending(database_url) == ()


def test_a_database_of_a_program_that_hashed_python_files_too_goes_on_and_a_changed_migration_is_still_refused(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "postgres"
    shutil.copytree(MIGRATIONS, folder)
    migrate(database_url, folder)
    former = json.loads((MIGRATIONS / FORMER).read_text())
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        for before, now in former.items():
            cursor.execute("update migration_files set sha256 = %s where sha256 = %s returning revision", (before, now))
            assert len(cursor.fetchall()) == 1
    connection.close()
    assert len(former) == 35
    assert (pending(database_url, folder), migrate(database_url, folder)) == ((), ())
    changed = folder / "versions" / "005_statements.sql"
    changed.write_text(changed.read_text() + " ")
    with pytest.raises(CommandError, match="005_statements was changed after it was applied"):
        migrate(database_url, folder)


def test_a_migration_in_python_alone_is_remembered_by_its_python(database_url: str, folder: Path) -> None:
    write(folder, 1, ONE)
    (folder / "versions" / "001_step.sql").unlink()
    file = folder / "versions" / "001_step.py"
    own = file.read_text().replace("upgrade = sql_beside(__file__)", "def upgrade() -> None: ...")
    file.write_text(own)
    migrate(database_url, folder)
    file.write_text(own + "\n")
    with pytest.raises(CommandError, match="001_step was changed after it was applied"):
        migrate(database_url, folder)


def test_a_copied_database_grants_what_a_migrated_one_grants(database_url: str, postgres_url: str) -> None:
    """The copies that tests work on; what is granted on a database as a whole is not copied with its content."""
    migrate(database_url)
    of_the_whole = (
        "select datacl::text, (select json_agg(setconfig)::text from pg_db_role_setting where setdatabase = d.oid)"
        " from pg_database d where datname = current_database()"
    )
    with own_database(postgres_url) as copied:
        assert rows(copied, of_the_whole) == rows(database_url, of_the_whole)
        assert pending(copied) == ()
