"""`./viewledger backup --to PLACE`: PostgreSQL and the batch tables, as of one published version."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from batch_layer.errors import AtWorkError, BackupAtWorkError, DifferenceError
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.printable import counted
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.release import release
from jobs.telemetry.figures_file import record_backup
from jobs.wiring.backup_database import DatabaseState, database_state, dump, dump_path
from jobs.wiring.backup_keys import copy_keys, key_ids, new_key_folder
from jobs.wiring.backup_manifest import (
    FORMAT,
    WAREHOUSE,
    BackedUpFile,
    Manifest,
    TableFolder,
    backups_in,
    hash_of,
    in_words,
    keep_on_disk,
    problem_of,
    write_manifest,
)
from jobs.wiring.backup_warehouse import below, open_warehouse, warehouse_url
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_settings import BatchSettings
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.progress import progress_of

if TYPE_CHECKING:
    from batch_layer.backup.iceberg_files import IcebergFiles
    from batch_layer.backup.spark_stored_files import SparkStoredFiles

TOLD_EVERY = 500
_tell = progress_of("backup")


@dataclass(frozen=True)
class BackupPlace:
    """Where a backup goes, and what earlier ones have put there."""

    folder: Path
    backup_id: str
    there: Mapping[str, BackedUpFile]
    """Path → file of an earlier backup; files of the warehouse never change."""


def run(*, to: Path, keys_to: Path | None, as_json: bool) -> ExitCode:
    """Make a backup; batch runs go on while files are copied, and maintenance waits.

    Exit codes: 2 the place cannot be used, 4 a server is away, 5 a batch run or another backup is at work, 6 a file of
    the tables is gone.
    """
    environ = settings.environment()
    chosen = BatchSettings.from_environ(environ)
    with _private_files():
        manifest, place = _made(chosen, environ, to=to, keys_to=keys_to)
    record_backup(chosen.state, manifest.made_at)
    _show(manifest, place, as_json=as_json)
    return ExitCode.OK


def _made(
    chosen: BatchSettings, environ: Mapping[str, str], *, to: Path, keys_to: Path | None
) -> tuple[Manifest, BackupPlace]:
    begun_at, keys = datetime.now(UTC), key_ids(environ)
    earlier = backups_in(to)
    backup_id = f"{begun_at:%Y%m%dT%H%M%SZ}"
    place = BackupPlace(to, backup_id, {each.path: each for manifest in earlier for each in manifest.files})
    if keys_to is not None:
        new_key_folder(keys_to, to)
    with errors_as_exit_codes(), closing(PostgresVersionStore(chosen.postgres_url)) as versions:
        if not versions.lock():
            raise AtWorkError
        if not versions.lock_files():
            raise BackupAtWorkError
        check_hdfs(chosen.hdfs_url)
        with open_warehouse(chosen, "viewledger backup") as (tables, warehouse), _disk_errors(to):
            with database_state(chosen.postgres_url) as state:
                _refuse_other_installation(earlier, state, to)
                (to / backup_id).mkdir(parents=True)
                folders, paths, copied = _listed(state, tables, warehouse, root=warehouse_url(chosen), place=place)
                # from here on only maintenance could remove one of these files, and that waits for the lock of files
                versions.unlock()
                _tell("database", f"migration {state.migration}, {in_words(state.version)}")
                dump(state, to / dump_path(backup_id))
                keep_on_disk(to / dump_path(backup_id))
            files = [*copied, *_copied(warehouse, warehouse_url(chosen), paths, place=place)]
            manifest = Manifest(
                format=FORMAT,
                backup_id=backup_id,
                made_at=begun_at,
                product=release(),
                migration=state.migration,
                installation_id=state.installation_id,
                login=state.login,
                warehouse=warehouse_url(chosen),
                version=state.version,
                keys=keys,
                folders=folders,
                database=BackedUpFile(dump_path(backup_id), *hash_of(to / dump_path(backup_id))),
                files=sorted(files, key=lambda each: each.path),
            )
            if keys_to is not None:
                copy_keys(environ, keys_to)
            write_manifest(to, manifest)
    return manifest, place


@contextmanager
def _private_files() -> Iterator[None]:
    """Let only this account read what is made: a backup holds what only the logins of the installation may read."""
    usual = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(usual)  # what monitoring reads is written afterwards


def _listed(
    state: DatabaseState, tables: "IcebergFiles", warehouse: "SparkStoredFiles", *, root: str, place: BackupPlace
) -> tuple[list[TableFolder], list[str], list[BackedUpFile]]:
    """Return the tables' folders, the paths of their files, and their metadata files, copied: runs remove those."""
    metadata = tables.metadata()
    folders, paths, copied = [], list[str](), list[BackedUpFile]()
    for table, path in metadata.items():
        if below(root, state.metadata.get(table, "")) != below(root, path):
            raise DifferenceError(
                f"the catalogue has other metadata of {table} than PostgreSQL; give the command again"
            )
        folder = tables.folder(table)
        folders.append(TableFolder(below(root, folder), f"{warehouse.permission(folder):o}"))
        copied += _copied(warehouse, root, [path], place=place)
        paths += tables.of(table)
        _tell("tables", f"{table}: {counted(len(paths), 'file')} in all")
    return folders, paths, copied


def _copied(
    warehouse: "SparkStoredFiles", root: str, paths: Sequence[str], *, place: BackupPlace
) -> Iterator[BackedUpFile]:
    """Yield each file as it is in the place; one of an earlier backup is copied again only if it decayed there."""
    for number, path in enumerate(paths, 1):
        name = f"{WAREHOUSE}/{below(root, path)}"
        byte_count, modified_ms = warehouse.status(path)
        there, target = place.there.get(name), place.folder / name
        problem = problem_of(place.folder, there) if there is not None else None
        if problem is not None:
            _tell("warehouse", f"{target} is not as it was copied; it is copied again")
        if there is None or there.modified_ms != modified_ms or problem is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            warehouse.fetch(path, part)
            keep_on_disk(part)
            part.replace(target)
            there = BackedUpFile(name, *hash_of(target), modified_ms)
        if there.byte_count != byte_count:
            raise DifferenceError(f"{path} has {counted(byte_count, 'byte')}, and {there.byte_count:,} were copied")
        yield there
        if number % TOLD_EVERY == 0:
            _tell("warehouse", f"{number:,} of {counted(len(paths), 'file')}")


def _refuse_other_installation(earlier: Sequence[Manifest], state: DatabaseState, to: Path) -> None:
    other = next((each for each in earlier if each.installation_id != state.installation_id), None)
    if other is not None:
        raise CommandError(
            f"{to} holds backups of installation {other.installation_id}, and this one is {state.installation_id}; "
            "give each installation a place of its own",
            ExitCode.BAD_INPUT,
        )


@contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    """Give a place that cannot be written one sentence."""
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"{place} cannot be written ({error.strerror or error}); what was copied is not yet a backup, and the "
            "next one into this place goes on from it",
            ExitCode.FAILED,
        ) from error


def _show(manifest: Manifest, place: BackupPlace, *, as_json: bool) -> None:
    new = [each for each in manifest.files if each.path not in place.there]
    document = {
        "backup_id": manifest.backup_id,
        "version": manifest.version,
        "installation_id": manifest.installation_id,
        "file_count": len(manifest.files),
        "new_file_count": len(new),
        "byte_count": manifest.byte_count,
        "new_byte_count": sum(each.byte_count for each in (manifest.database, *new)),
        "keys": manifest.keys,
    }
    if as_json:
        print(json.dumps(document))
        return
    keys = ", ".join(f"{name} {' '.join(ids)}" for name, ids in sorted(manifest.keys.items())) or "none"
    print(
        f"backup {manifest.backup_id} of {in_words(manifest.version)}: {counted(len(manifest.files), 'file')}, "
        f"{len(new):,} of them new, {manifest.byte_count / 1e6:,.1f} MB in all\n"
        f"it needs these keys, which it does not hold: {keys}"
    )
