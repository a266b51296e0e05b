"""Bring PostgreSQL up to date by alembic, each migration once and in one transaction."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, cast

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError as AlembicError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from ingestion.contract.unavailable import Part, does_not_answer, one_line
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT

MIGRATIONS = PROJECT / "deploy" / "postgres"
FORMER = "former_hashes.json"
"""The hash by which an older release stored a migration, with its environment → the hash of its SQL alone.

Those releases hashed the Python file as well, of which each migration had a full copy.
"""

LOCK_KEY = 0x7669657773  # "views": two migrations at once wait for each other


FILES = """
create table if not exists migration_files (
    revision text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""
"""Alembic stores how far a database is; this table stores with which SQL it got there."""


def pending(url: str, folder: Path = MIGRATIONS) -> tuple[str, ...]:
    """Return the migrations that `migrate` would apply; raise what it would raise before the first."""
    scripts = _scripts(folder)
    with _connection(url) as connection:
        return tuple(map(_name, _pending(scripts, connection)))


def migrate(url: str, folder: Path = MIGRATIONS, *, traffic_ruled_from: date | None = None) -> tuple[str, ...]:
    """Bring a database up to date and return the names applied now; a migration that fails changes nothing.

    `traffic_ruled_from` is the first day of the first policy of traffic, which one of the migrations puts in force.

    Raises:
        CommandError: REFUSED when the database holds a migration this version lacks or an applied one was changed, or
            behind a pooler, which cannot hold the lock; UNAVAILABLE when PostgreSQL does not answer, FAILED naming the
            migration that was undone.
    """
    config = _config(folder)
    scripts = _scripts(folder)
    with _connection(url) as connection:
        _refuse_pooler(connection)
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": LOCK_KEY})  # until the connection closes
        connection.execute(text(FILES))
        todo = _pending(scripts, connection)
        first_day = traffic_ruled_from.isoformat() if traffic_ruled_from else ""
        connection.execute(text("select set_config('viewledger.traffic_ruled_from', :day, false)"), {"day": first_day})
        connection.commit()
        config.attributes.update(connection=connection, on_version_apply=_remember_file)
        try:
            command.upgrade(config, "heads")
        except DBAPIError as error:
            connection.rollback()
            raise CommandError(_failure(_pending(scripts, connection), error)) from error
    return tuple(map(_name, todo))


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _scripts(folder: Path) -> ScriptDirectory:
    """Return the migrations of a folder; they must form one line."""
    scripts = ScriptDirectory.from_config(_config(folder))
    try:
        heads = scripts.get_heads()
    except AlembicError as error:
        raise CommandError(f"the migrations in {folder} do not fit together: {error}", ExitCode.BAD_INPUT) from error
    if len(heads) > 1:
        raise CommandError(
            f"two migrations in {folder} follow the same one: {', '.join(sorted(heads))}; put one after the other",
            ExitCode.BAD_INPUT,
        )
    return scripts


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """Yield one connection, closed at the end; messages never repeat its password."""
    engine = create_engine("postgresql+psycopg2://", creator=lambda: _connect(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise _unavailable(error.orig or error) from error


def _connect(url: str) -> Any:
    try:
        return psycopg2.connect(url, connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise _unavailable(error) from error


def _refuse_pooler(connection: Connection) -> None:
    # a pooler shows a number of its own
    shown = cast(Any, connection.connection.dbapi_connection).info.backend_pid
    if connection.execute(text("select pg_backend_pid()")).scalar() != shown:
        raise CommandError(
            "VIEWLEDGER_POSTGRES_URL leads to a pooler, which cannot hold the lock of migrations; name PostgreSQL's "
            "own servers",
            ExitCode.REFUSED,
        )


def _pending(scripts: ScriptDirectory, connection: Connection) -> Sequence[Script]:
    """Return the migrations still to apply, oldest first; refuse a database whose history differs from the files."""
    applied = MigrationContext.configure(connection).get_current_heads()
    ordered = list(scripts.walk_revisions())[::-1]
    known = {script.revision: script for script in ordered}
    if unknown := [revision for revision in applied if revision not in known]:
        raise CommandError(
            f"the database has migration {unknown[0]}, which this version lacks; use the version that made it",
            ExitCode.REFUSED,
        )
    former = _former(scripts)
    for revision, sha256 in _remembered(connection).items():
        if revision in known and former.get(sha256, sha256) != _sha256(known[revision]):
            raise CommandError(
                f"migration {_name(known[revision])} was changed after it was applied; put it back and write a new one",
                ExitCode.REFUSED,
            )
    done = max((ordered.index(known[revision]) + 1 for revision in applied), default=0)
    return ordered[done:]


def _former(scripts: ScriptDirectory) -> Mapping[str, str]:
    file = Path(scripts.dir) / FORMER
    return cast(Mapping[str, str], json.loads(file.read_bytes())) if file.exists() else {}


def _remembered(connection: Connection) -> Mapping[str, str]:
    if connection.execute(text("select to_regclass('migration_files')")).scalar() is None:
        return {}
    rows = connection.execute(text("select revision, sha256 from migration_files"))
    return {row.revision: row.sha256 for row in rows}


def _remember_file(*, ctx: MigrationContext, step: Any, **_others: object) -> None:
    """Record a migration; alembic calls this inside the transaction of each migration."""
    script = step.up_revision
    connection = cast(Connection, ctx.connection)  # only alembic's offline mode has none
    connection.execute(
        text("insert into migration_files (revision, sha256) values (:revision, :sha256)"),
        {"revision": script.revision, "sha256": _sha256(script)},
    )


def _sha256(script: Script) -> str:
    """Return the database's record of a migration: the hash of its SQL, or of its Python file if it has none."""
    path = Path(script.path)
    sql = path.with_suffix(".sql")
    return hashlib.sha256((sql if sql.exists() else path).read_bytes()).hexdigest()


def _name(script: Script) -> str:
    return Path(script.path).stem


def _failure(left: Sequence[Script], error: DBAPIError) -> str:
    name = _name(left[0]) if left else "?"
    return f"migration {name} failed and was undone: {one_line(error.orig or error)}"


def _unavailable(error: BaseException) -> CommandError:
    return CommandError(str(does_not_answer(Part.POSTGRES, error)), ExitCode.UNAVAILABLE)
