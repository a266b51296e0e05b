"""`./viewledger migrate`: applies the numbered SQL files to PostgreSQL, each once, each in one transaction."""

import argparse
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings import PostgresConnection, environment
from jobs.state_home import PROJECT

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

MIGRATIONS = PROJECT / "deploy" / "postgres"
LOCK_KEY = 0x7669657773  # "views": two migrations at once wait for each other

TABLE = """
create table if not exists schema_migrations (
    name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """What the database remembers of the file's content."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares no flags."""


def run(arguments: argparse.Namespace) -> ExitCode:
    """Applies what is pending; says what it applied."""
    connection = PostgresConnection.from_environ(environment())
    applied = migrate(connection.url, read_migrations(MIGRATIONS))
    print(f"applied {', '.join(applied)}" if applied else "the schema is up to date")
    return ExitCode.OK


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """Every `NNN_name.sql` of the folder in order; refuses other names and a number used twice."""
    files = sorted(folder.glob("*.sql"))
    for path in files:
        if not re.fullmatch(r"\d{3}_[a-z0-9_]+\.sql", path.name):
            raise CommandError(f"{path.name} in {folder} is not named NNN_name.sql", ExitCode.BAD_INPUT)
    numbers = [path.name[:3] for path in files]
    if len(set(numbers)) != len(numbers):
        raise CommandError(f"two migrations in {folder} have the same number", ExitCode.BAD_INPUT)
    return tuple(Migration(path.stem, path.read_text()) for path in files)


def pending(migrations: Sequence[Migration], applied: Mapping[str, str]) -> tuple[Migration, ...]:
    """The migrations still to apply; raises CommandError(REFUSED) when an applied file changed or is gone."""
    known = {migration.name: migration for migration in migrations}
    for name, sha256 in applied.items():
        if name not in known:
            raise CommandError(f"the database has migration {name}, which this version lacks", ExitCode.REFUSED)
        if known[name].sha256 != sha256:
            raise CommandError(
                f"migration {name} was changed after it was applied; put it back and write a new one", ExitCode.REFUSED
            )
    return tuple(migration for migration in migrations if migration.name not in applied)


def migrate(url: str, migrations: Sequence[Migration]) -> tuple[str, ...]:
    """Brings a database up to date and returns the names applied now; a failed file changes nothing."""
    try:
        connection = psycopg2.connect(url, connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise CommandError(
            f"PostgreSQL does not let us in ({one_line(error)}); check VIEWLEDGER_POSTGRES_URL", ExitCode.UNAVAILABLE
        ) from error
    try:
        return _apply(connection, migrations)
    finally:
        connection.close()


def _apply(connection: "Connection", migrations: Sequence[Migration]) -> tuple[str, ...]:
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))  # until the connection closes
        cursor.execute(TABLE)
        cursor.execute("select name, sha256 from schema_migrations")
        todo = pending(migrations, dict(cursor.fetchall()))
    for migration in todo:
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(migration.sql)
                cursor.execute(
                    "insert into schema_migrations (name, sha256) values (%s, %s)", (migration.name, migration.sha256)
                )
        except psycopg2.Error as error:
            raise CommandError(f"migration {migration.name} failed and was undone: {one_line(error)}") from error
    return tuple(migration.name for migration in todo)


def one_line(error: psycopg2.Error) -> str:
    """PostgreSQL's message without its line breaks."""
    return " ".join(str(error).split())
