"""A backup's manifest, which is written last: without it a folder is not a backup.

PLACE/warehouse/…                     files of the batch tables, which never change: each is there once
PLACE/20261129T020000Z/database.dump  PostgreSQL, of one instant
PLACE/20261129T020000Z/manifest.json  what belongs to this backup, with sizes and hashes
"""

import hashlib
import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

FORMAT = 1
MANIFEST, DUMP, WAREHOUSE = "manifest.json", "database.dump", "warehouse"
BACKUP_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z")
PIECE_BYTES = 1 << 20
_PERMISSION = re.compile(r"[0-7]{3,4}")


class BackedUpFile(msgspec.Struct, frozen=True):
    """A file of a backup; `path` begins in the place."""

    path: str
    byte_count: int
    sha256: str
    modified_ms: int = 0
    """When the warehouse's file was changed last, in milliseconds."""


class TableFolder(msgspec.Struct, frozen=True):
    """A table's folder below the warehouse, and who may enter it, in octal digits."""

    path: str
    permission: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is of, and what is in it."""

    format: int
    backup_id: str
    made_at: datetime
    product: str
    migration: str
    """The newest migration of the database."""
    installation_id: str
    login: str
    """The login that owns the schema; grants name it."""
    warehouse: str
    """The warehouse's URL, which the tables' metadata has in every path."""
    version: int | None
    """The published version; None if there is none."""
    keys: dict[str, list[str]]
    """Setting → the ids of the keys in it; the keys themselves are elsewhere."""
    folders: list[TableFolder]
    database: BackedUpFile
    files: list[BackedUpFile]

    @property
    def byte_count(self) -> int:
        """Return the bytes of all its files."""
        return sum(each.byte_count for each in (self.database, *self.files))


def in_words(version: int | None) -> str:
    """Return which version is published, for a person."""
    return "no published version" if version is None else f"version {version}"


def backups_in(place: Path) -> Sequence[Manifest]:
    """Return the whole backups in a place, oldest first; refuse a place that holds anything else."""
    if not place.exists():
        return ()
    try:
        names = sorted(each.name for each in place.iterdir())
    except OSError as error:
        raise cannot_be_read(place, error) from error
    for name in names:
        if name != WAREHOUSE and BACKUP_ID.fullmatch(name) is None:
            raise CommandError(
                f"{place} holds {name}, which is not a backup; give a new or empty folder, or one of backups",
                ExitCode.BAD_INPUT,
            )
    return [read_manifest(place / name) for name in names if (place / name / MANIFEST).exists()]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of one backup; raise CommandError(BAD_INPUT) if it cannot be relied on."""
    file = folder / MANIFEST
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise CommandError(
            f"{folder} has no {MANIFEST}: its backup was interrupted, or it is none; give another one",
            ExitCode.BAD_INPUT,
        ) from error
    except OSError as error:
        raise cannot_be_read(file, error) from error
    except msgspec.DecodeError as error:
        raise CommandError(
            f"{file} is not a manifest of a backup ({error}); give another backup", ExitCode.BAD_INPUT
        ) from error
    files = [each.path for each in (found.database, *found.files)]
    wrong = next((each for each in files if not _is_inside(each)), None) or next(
        (f"{each.path} ({each.permission})" for each in found.folders if not _is_table_folder(each)), None
    )
    if found.format != FORMAT or found.backup_id != folder.name or wrong is not None:
        what = f"names {wrong!r}" if wrong else f"is of backup {found.backup_id} in format {found.format}"
        raise CommandError(
            f"{file} {what}; it must be of {folder.name}, in format {FORMAT}, and name files of its place",
            ExitCode.BAD_INPUT,
        )
    return found


def chosen_backup(place: Path, backup_id: str | None) -> Manifest:
    """Return the newest whole backup of a place, or the one of an id."""
    if backup_id is not None:
        return read_manifest(place / backup_id)
    found = backups_in(place)
    if not found:
        raise CommandError(
            f"{place} holds no backup with a {MANIFEST}; give the folder that `backup --to` named", ExitCode.BAD_INPUT
        )
    return found[-1]


def write_manifest(place: Path, manifest: Manifest) -> None:
    """Write a backup's manifest, whole or not at all, when everything else of it is on disk."""
    file = place / manifest.backup_id / MANIFEST
    part = file.with_name(f".{MANIFEST}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    keep_on_disk(part)
    for folder, _, _ in os.walk(place):
        keep_on_disk(Path(folder))
    part.replace(file)
    keep_on_disk(file.parent)


def keep_on_disk(path: Path) -> None:
    """Return when a file, or the names in a folder, would be there after a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def problem_of(place: Path, file: BackedUpFile) -> str | None:
    """Return how a file differs from its manifest; None if it does not."""
    path = place / file.path
    try:
        if path.is_symlink() or not path.is_file():
            return f"{path} is missing; give a backup that is whole"
        if hash_of(path) != (file.byte_count, file.sha256):
            return f"{path} is not the file that was backed up; give a backup that was not changed"
    except OSError as error:
        return str(cannot_be_read(path, error))
    return None


def hash_of(path: Path) -> tuple[int, str]:
    """Return the number of bytes of a file and their SHA-256."""
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            count += len(piece)
    return count, digest.hexdigest()


def cannot_be_read(path: Path, error: OSError) -> CommandError:
    """Return the refusal of a file or folder that the system does not let us read."""
    return CommandError(f"{path} cannot be read ({error.strerror or error})", ExitCode.BAD_INPUT)


def _is_table_folder(folder: TableFolder) -> bool:
    return _is_inside(f"{WAREHOUSE}/{folder.path}") and _PERMISSION.fullmatch(folder.permission) is not None


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    first = parts.parts[:1]
    known = first == (WAREHOUSE,) or (first and BACKUP_ID.fullmatch(first[0]) is not None)
    return bool(known) and ".." not in parts.parts and "\0" not in path
