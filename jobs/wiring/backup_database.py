"""PostgreSQL in a backup: read as of one instant by `pg_dump`, and restored by `pg_restore` in one transaction."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from ingestion.contract.postgres_address import PostgresAddress
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import Part, does_not_answer
from jobs.child.process import bound_to_parent
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import own_environment
from jobs.wiring.backup_manifest import DUMP, Manifest
from jobs.wiring.migrations import MIGRATIONS

SCHEMAS = ("access", "billing", "ingestion", "published", "reporting", "staging")
TABLES = ("alembic_version", "iceberg_namespace_properties", "iceberg_tables", "migration_files")
"""What migrations make, the tables in `public`; a restore replaces these and nothing else."""
_NOT_BY_MIGRATIONS = "actor IS DISTINCT FROM 'migration'"
TELLING = {
    "published.versions": "true",
    "published.runs": "true",
    "billing.catalogue_versions": "true",
    "billing.rate_cards": "true",
    "billing.transactions": "true",
    "billing.policies": _NOT_BY_MIGRATIONS,
    "billing.approval_limits": _NOT_BY_MIGRATIONS,
    "billing.transitions": _NOT_BY_MIGRATIONS,
    "access.made_keys": "true",
    "iceberg_tables": "true",
}
"""Table → its rows that a migration does not write; every installation that is in use has some of these."""
_FOREIGN = """
    SELECT 'the schema ' || nspname FROM pg_namespace n
    WHERE nspname !~ '^pg_' AND nspname <> ALL (%(schemas)s || ARRAY['information_schema', 'public'])
      AND NOT EXISTS (SELECT FROM pg_depend WHERE (classid, objid, deptype) = ('pg_namespace'::regclass, n.oid, 'e'))
    UNION ALL
    SELECT 'public.' || relname FROM pg_class c
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND relname <> ALL (%(tables)s)
      AND NOT EXISTS (SELECT FROM pg_depend WHERE (classid, objid, deptype) = ('pg_class'::regclass, c.oid, 'e'))
    ORDER BY 1 LIMIT 1"""
"""What is of another application; what belongs to an extension is of nobody."""
_LISTED = re.compile(r"\d+; \d+ \d+ (SCHEMA - |ACL - SCHEMA |FK CONSTRAINT )?")
_ORDER = (("SCHEMA - ", "ACL - SCHEMA "), (None,), ("FK CONSTRAINT ",))
"""Who owns a table needs the rights on its schema before; foreign keys are checked with the rights of their owner."""
_LEND = """
SELECT string_agg(format('GRANT CREATE ON SCHEMA %I TO viewledger_owner', nspname), ';') AS lend,
       string_agg(format('REVOKE CREATE ON SCHEMA %I FROM viewledger_owner', nspname), ';') AS take_back
FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
  AND NOT has_schema_privilege('viewledger_owner', oid, 'CREATE')
\\gset
:lend;
"""
"""PostgreSQL gives a function to an owner only who may create some in its schema; migrations lend that right, too."""
_NOTE = """
:take_back;
SET ROLE viewledger_owner;
INSERT INTO billing.restores (backup_id, backed_up_at, actor, reason)
VALUES (:'backup_id', :'made_at', :'actor', :'reason');
RESET ROLE;
COMMIT;
"""
"""Committed with what is restored: there is no moment in which the books are back and payouts do not wait."""


@dataclass(frozen=True)
class DatabaseState:
    """What a backup says of the database, as of one instant."""

    snapshot: str
    """The name by which `pg_dump` reads as of the same instant."""
    url: str = field(repr=False)
    """Of the one server that has the snapshot."""
    migration: str
    installation_id: str
    login: str
    version: int | None
    metadata: Mapping[str, str]
    """Batch table → its metadata file."""


@contextmanager
def database_state(url: str) -> Iterator[DatabaseState]:
    """Yield the state; the snapshot can be read until the end of the block."""
    try:
        with closing(psycopg2.connect(url, connect_timeout=10)) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            migration = _one(cursor, "SELECT max(version_num) FROM public.alembic_version")
            cursor.execute("SELECT table_name, metadata_location FROM public.iceberg_tables")
            metadata = dict(cursor.fetchall())
            yield DatabaseState(
                snapshot=_one(cursor, "SELECT pg_export_snapshot()"),
                url=PostgresAddress.of(url).at(connection.info.host, connection.info.port).url,
                migration=migration,
                installation_id=str(_one(cursor, "SELECT installation_id FROM published.installation")),
                login=_one(cursor, "SELECT session_user"),
                version=_one(cursor, "SELECT max(version) FROM published.pointer"),
                metadata=metadata,
            )
    except psycopg2.errors.UndefinedTable as error:
        raise CommandError("the schema is not of this release; run ./viewledger migrate", ExitCode.REFUSED) from error
    except psycopg2.OperationalError as error:
        raise does_not_answer(Part.POSTGRES, error) from error


def dump(state: DatabaseState, target: Path) -> None:
    """Write the database as of a state, inside its block; raise CommandError, OSError where the disk is full."""
    words = ["--format=custom", f"--snapshot={state.snapshot}", f"--file={target}"]
    with _program("pg_dump", words, state.url, stdin=subprocess.DEVNULL) as (child, messages):
        _check("pg_dump", child, messages)


def what_is_there(url: str) -> str | None:
    """Return in a few words what a database holds; None if it holds nothing but a schema that is not in use."""
    try:
        with closing(psycopg2.connect(url, connect_timeout=10)) as connection, connection.cursor() as cursor:
            cursor.execute(_FOREIGN, {"schemas": list(SCHEMAS), "tables": list(TABLES)})
            for (foreign,) in cursor:
                return f"{foreign}, which is not of viewledger"
            for table, condition in TELLING.items():
                cursor.execute("SELECT to_regclass(%s)", (table,))
                if cursor.fetchone() == (None,):
                    continue
                if count := _one(cursor, f"SELECT count(*) FROM {table} WHERE {condition}"):  # noqa: S608
                    return f"{counted(count, 'row')} of {table}"
    except psycopg2.OperationalError as error:
        raise does_not_answer(Part.POSTGRES, error) from error
    return None


def refuse_newer_schema(manifest: Manifest) -> None:
    """Raise CommandError(REFUSED) if this release does not have the newest migration of a backup."""
    if not any(MIGRATIONS.glob(f"versions/{manifest.migration}_*.sql")):
        raise CommandError(
            f"the backup is of release {manifest.product} with migration {manifest.migration}, which this release "
            "lacks; restore it with that release or a newer one",
            ExitCode.REFUSED,
        )


def restore(url: str, place: Path, manifest: Manifest, *, actor: str, reason: str) -> None:
    """Replace the schema of an empty database by that of a backup, and note it; what fails changes nothing."""
    dumped = place / manifest.database.path
    names = {"backup_id": manifest.backup_id, "made_at": manifest.made_at.isoformat(), "actor": actor, "reason": reason}
    words = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *(f"--set={each}={names[each]}" for each in names)]
    with (
        tempfile.TemporaryDirectory(prefix="viewledger-restore-") as folder,
        _program("psql", words, url, stdin=subprocess.PIPE) as (psql, messages),
    ):
        try:
            _feed(psql, _beginning())
            for number, part in enumerate(_parts(dumped, Path(folder))):
                if number == 1:
                    _feed(psql, _LEND)
                # psql commits nothing of what is cut off: the last line comes from here
                made = subprocess.run(
                    [find_program("pg_restore"), "--file=-", f"--use-list={part}", str(dumped)],
                    stdout=psql.stdin,
                    stderr=subprocess.PIPE,
                    check=False,
                    preexec_fn=bound_to_parent(15),
                )
                if made.returncode and psql.poll() is None and b"roken pipe" not in made.stderr:
                    raise CommandError(f"pg_restore failed: {_last_line(made.stderr)}; nothing was restored")
            _feed(psql, _NOTE)
        except BrokenPipeError:
            pass  # psql ended early, and says why
        finally:
            if psql.stdin:
                with suppress(BrokenPipeError):
                    psql.stdin.close()
        _check("psql", psql, messages)


def find_program(name: str) -> str:
    """Return a program of PostgreSQL, of the newest installed release; Debian keeps them off PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: float(re.sub(r"[^\d.]", "", folder.parent.name) or 0),
    )
    there = [str(folder / name) for folder in folders if (folder / name).exists()]
    found = there[-1] if there else shutil.which(name)
    if found is None:
        raise CommandError(
            f"{name} is not installed; install the client programs of PostgreSQL, in the server's release or a newer",
            ExitCode.SETUP_FAILED,
        )
    return found


@contextmanager
def _program(
    name: str, words: Sequence[str], url: str, *, stdin: int
) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """Start a program on a database; its password is in its environment, which only its owner may read."""
    parts = parse_dsn(url)
    secret = {"PGPASSWORD": parts.pop("password")} if "password" in parts else {}
    command = [find_program(name), *words, "--no-password", f"--dbname={make_dsn(**parts)}"]
    with tempfile.TemporaryFile() as messages:
        child = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            env=own_environment() | {"LC_ALL": "C"} | secret,
            preexec_fn=bound_to_parent(15),
        )
        try:
            yield child, messages
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()


def _check(name: str, child: "subprocess.Popen[bytes]", messages: IO[bytes]) -> None:
    """Wait for a program and raise what it says if it failed."""
    if child.wait() == 0:
        return
    messages.seek(0)
    text = messages.read()
    if b"No space left on device" in text:
        raise OSError(28, "No space left on device")
    unavailable = b"connection to server" in text or b"could not connect" in text
    code = ExitCode.UNAVAILABLE if unavailable else ExitCode.FAILED
    raise CommandError(f"{name} failed: {_last_line(text)}; nothing was changed", code)


def _last_line(text: bytes) -> str:
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    wrong = [line for line in lines if "ERROR" in line or "error:" in line or "FATAL" in line]
    return (wrong or lines or ["it gave no reason"])[0 if wrong else -1].strip()


def _parts(dumped: Path, folder: Path) -> Iterator[Path]:
    """Yield lists of what is in a dump, in the order in which an ordinary login can restore them."""
    listed = subprocess.run([find_program("pg_restore"), "--list", str(dumped)], capture_output=True, check=False)
    if listed.returncode:
        raise CommandError(f"{dumped} cannot be read by pg_restore: {_last_line(listed.stderr)}", ExitCode.BAD_INPUT)
    lines = [(found[1], found.string) for each in listed.stdout.decode().splitlines() if (found := _LISTED.match(each))]
    for number, kinds in enumerate(_ORDER):
        part = folder / f"part-{number}"
        part.write_text("".join(f"{line}\n" for kind, line in lines if kind in kinds))
        yield part


def _beginning() -> str:
    """Return the statements that remove the empty schema, so that a dump makes everything as it was."""
    # a dump says how rights differ from PostgreSQL's own, and ends with the changed defaults
    grant = "GRANT EXECUTE ON FUNCTIONS TO PUBLIC"
    statements = [
        "SET client_min_messages = warning",
        "BEGIN",
        *(f"DROP SCHEMA IF EXISTS {each} CASCADE" for each in SCHEMAS),
        *(f"DROP TABLE IF EXISTS public.{each} CASCADE" for each in TABLES),
        *(f"ALTER DEFAULT PRIVILEGES {whose}{grant}" for whose in ("", "FOR ROLE viewledger_owner ")),
    ]
    return "".join(f"{each};\n" for each in statements)


def _feed(child: "subprocess.Popen[bytes]", text: str) -> None:
    if child.stdin:
        child.stdin.write(text.encode())
        child.stdin.flush()


def _one(cursor: Any, query: str) -> Any:
    cursor.execute(query)
    ((value,),) = cursor.fetchall()
    return value


def dump_path(backup_id: str) -> str:
    """Return the path of a backup's dump in its place."""
    return f"{backup_id}/{DUMP}"
