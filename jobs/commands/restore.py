"""`./viewledger restore --from PLACE`: bring an empty installation back to a backup."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batch_layer.errors import AtWorkError
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.postgres_session import connector
from billing.proof.postgres_rules import problems_of_rules
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.commands.billing.proof import RULES
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.backup_database import database_state, refuse_newer_schema, what_is_there
from jobs.wiring.backup_database import restore as restore_database
from jobs.wiring.backup_keys import refuse_other_keys
from jobs.wiring.backup_manifest import WAREHOUSE, Manifest, chosen_backup, in_words, problem_of
from jobs.wiring.backup_warehouse import open_warehouse, warehouse_url
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_settings import BatchSettings
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.migrations import migrate
from jobs.wiring.progress import progress_of

if TYPE_CHECKING:
    from batch_layer.backup.spark_stored_files import SparkStoredFiles

TOLD_EVERY = 500
_tell = progress_of("restore")
NEXT = """\
payouts wait; go on as docs/operate/backup.md says:
  ./viewledger topics new-generation   if the log of Kafka is another one
  ./viewledger rebuild speed           with a speed process running
  ./viewledger batch run
  ./viewledger reconcile
  ./viewledger billing payouts release"""


def run(*, place: Path, backup: str | None, actor: str, reason: str, as_json: bool) -> ExitCode:
    """Restore a backup into an installation that is empty.

    Exit codes: 2 the backup or a key is not right, 4 a server is away, 5 the installation is not empty, or newer
    tables, 6 the restored rules of the database are not those of this release.
    """
    environ = settings.environment()
    chosen, manifest = BatchSettings.from_environ(environ), chosen_backup(place, backup)
    _refuse_unfit(manifest, chosen, environ)
    _refuse_changed(place, manifest)
    with errors_as_exit_codes():
        check_hdfs(chosen.hdfs_url)
        _refuse_full_database(chosen.postgres_url)
        migrate(chosen.postgres_url)  # the roles, and the rights on the database itself
        _refuse_other_login(manifest, chosen.postgres_url)
        with (
            closing(PostgresVersionStore(chosen.postgres_url)) as versions,
            open_warehouse(chosen, "viewledger restore") as (_, warehouse),
        ):
            if not versions.lock():
                raise AtWorkError
            with _warehouse_restored(warehouse, place, manifest, chosen.postgres_url):
                _tell("database", f"migration {manifest.migration}, {in_words(manifest.version)}")
                restore_database(chosen.postgres_url, place, manifest, actor=actor, reason=reason)
        migrate(chosen.postgres_url)
    problems = list(problems_of_rules(connector(chosen.postgres_url), json.loads(RULES.read_bytes())))
    _show(manifest, as_json=as_json)
    if problems:
        raise CommandError(
            f"everything was restored, and {problems[0]}; compare the releases of PostgreSQL, and run "
            "./viewledger billing proof verify",
            ExitCode.DIFFERENCE,
        )
    return ExitCode.OK


def _refuse_unfit(manifest: Manifest, chosen: BatchSettings, environ: Mapping[str, str]) -> None:
    """Raise CommandError if these settings or this release are not those of the backup."""
    refuse_newer_schema(manifest)
    refuse_other_keys(manifest.keys, environ, manifest.installation_id)
    if manifest.warehouse != warehouse_url(chosen):
        raise CommandError(
            f"the backup is of installation {manifest.installation_id} with its tables in {manifest.warehouse}, and "
            f"these settings name {warehouse_url(chosen)}; the tables name their files in full, so restore them there",
            ExitCode.BAD_INPUT,
        )


def _refuse_changed(place: Path, manifest: Manifest) -> None:
    """Compare every file with its hash."""
    files = (manifest.database, *manifest.files)
    for number, each in enumerate(files, 1):
        if (problem := problem_of(place, each)) is not None:
            raise CommandError(f"{problem}; nothing was restored", ExitCode.BAD_INPUT)
        if number % TOLD_EVERY == 0 or number == len(files):
            _tell("hashes", f"{number:,} of {counted(len(files), 'file')} as they were")


def _refuse_full_database(url: str) -> None:
    if (found := what_is_there(url)) is not None:
        raise CommandError(
            f"the database is in use, it has {found}; restore into an empty database, nothing was changed",
            ExitCode.REFUSED,
        )


def _refuse_other_login(manifest: Manifest, url: str) -> None:
    with database_state(url) as state:
        if state.login != manifest.login:
            raise CommandError(
                f"the backup's schema belongs to the login {manifest.login}, and VIEWLEDGER_POSTGRES_URL names "
                f"{state.login}; restore with that login",
                ExitCode.BAD_INPUT,
            )


@contextmanager
def _warehouse_restored(warehouse: "SparkStoredFiles", place: Path, manifest: Manifest, url: str) -> Iterator[None]:
    """Copy the files of the tables; remove them again if what follows fails, unless the database came back."""
    if (found := warehouse.first_file()) is not None:
        raise CommandError(
            f"the warehouse is in use, it has {found}; restore into an empty folder, nothing was changed "
            "(docs/operate/backup.md: after a restore was killed)",
            ExitCode.REFUSED,
        )
    root = manifest.warehouse
    try:
        for folder in manifest.folders:
            warehouse.make_folder(f"{root}/{folder.path}", int(folder.permission, 8) & 0o770)
        for number, each in enumerate(manifest.files, 1):
            target = f"{root}/{each.path.removeprefix(f'{WAREHOUSE}/')}"
            warehouse.store(place / each.path, target, modified_ms=each.modified_ms)
            if number % TOLD_EVERY == 0 or number == len(manifest.files):
                _tell("warehouse", f"{number:,} of {counted(len(manifest.files), 'file')}")
        yield
    except BaseException:
        if _is_empty(url):
            warehouse.remove()
        raise


def _is_empty(url: str) -> bool:
    """Return whether a database is certainly empty; say what to do if not: its books need the files."""
    try:
        found = what_is_there(url)  # waits for a COMMIT under way
    except (CommandError, UnavailableError):
        found = "no answer"
    if found is not None:
        _tell(
            "warehouse",
            f"its files stay, for the database has {found}; if the restore is in it (billing.restores), run "
            "./viewledger migrate and go on",
        )
    return found is None


def _show(manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        document = {
            "backup_id": manifest.backup_id,
            "made_at": manifest.made_at.isoformat(),
            "version": manifest.version,
            "installation_id": manifest.installation_id,
            "file_count": len(manifest.files),
            "payouts_wait": True,
        }
        print(json.dumps(document))
        return
    print(
        f"restored from backup {manifest.backup_id}: {in_words(manifest.version)}, "
        f"{counted(len(manifest.files), 'file')} of the tables\n{NEXT}"
    )
