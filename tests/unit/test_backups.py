"""What a backup says of itself, and with which sentence a place, a file or a key is refused."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from billing.proof.ed25519_keys import create_key
from jobs.commands import backup, restore
from jobs.commands.backup import BackupPlace, _copied, _disk_errors
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.backup_database import refuse_newer_schema
from jobs.wiring.backup_keys import copy_keys, key_ids, new_key_folder, refuse_other_keys
from jobs.wiring.backup_manifest import (
    MANIFEST,
    BackedUpFile,
    Manifest,
    TableFolder,
    backups_in,
    chosen_backup,
    hash_of,
    in_words,
    problem_of,
    write_manifest,
)
from jobs.wiring.backup_warehouse import below

FIRST, SECOND = "20261128T020000Z", "20261129T020000Z"


def backed_up(place: Path, backup_id: str = FIRST, *, migration: str = "054") -> Manifest:
    """Make a place with a small backup."""
    files = []
    for path in (f"{backup_id}/database.dump", "warehouse/views/events/a.parquet"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(path.encode())
        files.append(BackedUpFile(path, *hash_of(place / path)))
    manifest = Manifest(
        format=1,
        backup_id=backup_id,
        made_at=datetime(2026, 11, 28, 2, tzinfo=UTC),
        product="1.0.0",
        migration=migration,
        installation_id="7d1e",
        login="viewledger",
        warehouse="hdfs://names:8020/warehouse",
        version=3,
        keys={},
        folders=[],
        database=files[0],
        files=files[1:],
    )
    write_manifest(place, manifest)
    return manifest


def test_the_newest_whole_backup_is_taken_unless_another_is_named(tmp_path: Path) -> None:
    first, second = backed_up(tmp_path), backed_up(tmp_path, SECOND)
    (tmp_path / "20261130T020000Z").mkdir()  # interrupted
    assert backups_in(tmp_path) == [first, second]
    assert chosen_backup(tmp_path, None) == second
    assert chosen_backup(tmp_path, FIRST) == first


def test_a_backup_without_its_manifest_is_none(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"holds no backup with a {MANIFEST}"):
        chosen_backup(tmp_path, None)
    (tmp_path / FIRST).mkdir()
    with pytest.raises(CommandError, match="its backup was interrupted, or it is none"):
        chosen_backup(tmp_path, FIRST)


def test_a_place_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    with pytest.raises(CommandError, match="holds letters, which is not a backup") as found:
        backups_in(tmp_path)
    assert found.value.code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": 7}, "is not a manifest of a backup"),
        ({"format": 2}, "in format 2; it must be of 20261128T020000Z, in format 1"),
        ({"backup_id": SECOND}, "is of backup 20261129T020000Z"),
        ({"files": [{"path": "../secret", "byte_count": 1, "sha256": ""}]}, "names '../secret'"),
        ({"files": [{"path": "/etc/passwd", "byte_count": 1, "sha256": ""}]}, "names '/etc/passwd'"),
        ({"files": [{"path": "warehouse/../../x", "byte_count": 1, "sha256": ""}]}, "names 'warehouse/../../x'"),
        ({"folders": [{"path": "../../other", "permission": "700"}]}, "names '../../other (700)'"),
        ({"folders": [{"path": "views/events", "permission": "-1"}]}, "names 'views/events (-1)'"),
    ],
)
def test_a_manifest_that_cannot_be_relied_on_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    document = msgspec.to_builtins(backed_up(tmp_path)) | changes
    (tmp_path / FIRST / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(CommandError) as found:
        chosen_backup(tmp_path, FIRST)
    assert words in str(found.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"other"), "is not the file that was backed up"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "is missing"),
    ],
)
def test_every_file_is_compared_with_its_hash(tmp_path: Path, change: object, words: str) -> None:
    manifest = backed_up(tmp_path)
    (file,) = manifest.files
    assert problem_of(tmp_path, file) is None
    change(tmp_path / file.path)  # type: ignore[operator]
    assert words in str(problem_of(tmp_path, file))
    with pytest.raises(CommandError, match="nothing was restored"):
        restore._refuse_changed(tmp_path, manifest)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    refuse_newer_schema(backed_up(tmp_path))
    with pytest.raises(CommandError, match="with migration 999, which this release lacks") as found:
        refuse_newer_schema(backed_up(tmp_path, migration="999"))
    assert found.value.code == ExitCode.REFUSED


def test_the_keys_of_an_installation_are_known_by_their_ids_and_copied_only_where_they_are_wanted(
    tmp_path: Path,
) -> None:
    place, folder = tmp_path / "place", tmp_path / "keys"
    signing, plays = tmp_path / "signing", tmp_path / "plays.json"
    public_key = create_key(signing).public_key
    plays.write_text(json.dumps({"keys": [{"kid": "2026-11", "kty": "oct", "k": "c2VjcmV0"}]}))
    environ = {
        "VIEWLEDGER_TRAITS_KEY": "ab" * 32,
        "VIEWLEDGER_PLAY_KEYS_FILE": str(plays),
        "VIEWLEDGER_SIGNING_KEY": str(signing),
    }
    ids = key_ids(environ)
    assert ids["VIEWLEDGER_PLAY_KEYS_FILE"] == ["2026-11"]
    assert ids["VIEWLEDGER_SIGNING_KEY"] == [public_key]
    assert "abab" not in str(ids)
    refuse_other_keys(ids, environ, "7d1e")
    with pytest.raises(CommandError, match=r"VIEWLEDGER_TRAITS_KEY is not set; the backup needs its key [0-9a-f]{16}"):
        refuse_other_keys(ids, {**environ, "VIEWLEDGER_TRAITS_KEY": ""}, "7d1e")
    with pytest.raises(CommandError, match="the backup is of installation 7d1e, whose VIEWLEDGER_TRAITS_KEY"):
        refuse_other_keys(ids, {**environ, "VIEWLEDGER_TRAITS_KEY": "cd" * 32}, "7d1e")
    with pytest.raises(CommandError, match="keep the keys apart"):
        new_key_folder(place / "keys", place)
    new_key_folder(folder, place)
    copy_keys(environ, folder)
    assert (folder / "VIEWLEDGER_TRAITS_KEY").read_text() == "ab" * 32 + "\n"
    assert (folder / "VIEWLEDGER_SIGNING_KEY").read_bytes() == signing.read_bytes()
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    with pytest.raises(CommandError, match="is not empty; give a new or empty folder for the keys"):
        new_key_folder(folder, place)


class StoredFiles:
    """A warehouse of files in a dictionary: path → content."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.fetched, self.folders = files, list[str](), dict[str, int]()

    def status(self, path: str) -> tuple[int, int]:
        return len(self.files[path]), 7

    def fetch(self, path: str, target: Path) -> None:
        self.fetched.append(path)
        target.write_bytes(self.files[path])

    def first_file(self) -> str | None:
        return next(iter(self.files), None)

    def make_folder(self, folder: str, permission: int) -> None:
        self.folders[folder] = permission

    def store(self, source: Path, path: str, *, modified_ms: int) -> None:
        self.files[path] = source.read_bytes()

    def remove(self) -> None:
        self.files.clear()


def test_a_file_that_decayed_in_the_place_is_copied_again(tmp_path: Path) -> None:
    warehouse = StoredFiles({"/w/views/a": b"aaaa", "/w/views/b": b"bbbb"})

    def back_up(there: list[BackedUpFile]) -> list[BackedUpFile]:
        warehouse.fetched.clear()
        place = BackupPlace(tmp_path, SECOND, {each.path: each for each in there})
        return list(_copied(warehouse, "/w", list(warehouse.files), place=place))  # type: ignore[arg-type]

    first = back_up([])
    assert warehouse.fetched == ["/w/views/a", "/w/views/b"]
    assert (back_up(first), warehouse.fetched) == (first, [])
    (tmp_path / "warehouse/views/b").write_bytes(b"bbbc")
    assert (back_up(first), warehouse.fetched) == (first, ["/w/views/b"])
    assert [problem_of(tmp_path, each) for each in first] == [None, None]


@pytest.mark.parametrize(
    ("found", "stay"),
    [(None, False), ("1 row of published.versions", True), (CommandError("", ExitCode.FAILED), True)],
)
def test_the_files_of_a_restore_that_fails_are_removed_only_if_the_database_is_certainly_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: object, stay: bool
) -> None:
    def what_is_there(_: str) -> object:
        if isinstance(found, CommandError):
            raise found
        return found

    monkeypatch.setattr(restore, "what_is_there", what_is_there)
    manifest, warehouse = backed_up(tmp_path), StoredFiles({})
    with (
        pytest.raises(KeyboardInterrupt),
        restore._warehouse_restored(warehouse, tmp_path, manifest, "postgresql://names"),  # type: ignore[arg-type]
    ):
        raise KeyboardInterrupt
    assert list(warehouse.files) == ([f"{manifest.warehouse}/views/events/a.parquet"] if stay else [])


def test_nobody_else_may_enter_a_restored_folder(tmp_path: Path) -> None:
    manifest, warehouse = backed_up(tmp_path), StoredFiles({})
    manifest = msgspec.structs.replace(manifest, folders=[TableFolder("views/events", "777")])
    with restore._warehouse_restored(warehouse, tmp_path, manifest, "postgresql://names"):  # type: ignore[arg-type]
        assert warehouse.folders == {f"{manifest.warehouse}/views/events": 0o770}


def test_nobody_else_may_read_a_backup_and_monitoring_sees_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, state = tmp_path / "place", tmp_path / "state"
    monkeypatch.setattr(backup.BatchSettings, "from_environ", lambda environ: SimpleNamespace(state=state))
    monkeypatch.setattr(backup, "_made", lambda *_, to, keys_to: (backed_up(to), BackupPlace(to, FIRST, {})))
    before = os.umask(0o022)
    try:
        assert backup.run(to=place, keys_to=None, as_json=True) == ExitCode.OK
    finally:
        os.umask(before)
    assert json.loads(capsys.readouterr().out)["backup_id"] == FIRST
    made = [place, *place.rglob("*")]
    assert {each.stat().st_mode & 0o077 for each in made} == {0}
    figures = state / "metrics" / "backup.prom"
    assert figures.stat().st_mode & 0o444 == 0o444
    began = datetime(2026, 11, 28, 2, tzinfo=UTC).timestamp()
    assert float(figures.read_text().split()[-1]) == began


def test_a_backup_that_fails_leaves_the_figure_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup.BatchSettings, "from_environ", lambda environ: SimpleNamespace(state=tmp_path))
    monkeypatch.setattr(backup, "_made", fails)
    with pytest.raises(CommandError):
        backup.run(to=tmp_path / "place", keys_to=None, as_json=True)
    assert not (tmp_path / "metrics").exists()


def fails(*_: object, **__: object) -> None:
    raise CommandError("the disk is full")


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    words = r"cannot be written \(No space left on device\); what was copied"
    with pytest.raises(CommandError, match=words), _disk_errors(tmp_path):
        raise OSError(28, os.strerror(28))


@pytest.mark.parametrize("path", ["hdfs://names:8020/warehouse/views/x", "/warehouse/views/x"])
def test_a_path_below_the_warehouse_has_neither_host_nor_folder(path: str) -> None:
    assert below("hdfs://names:8020/warehouse", path) == "views/x"
    assert below("/warehouse", path) == "views/x"


def test_a_backup_before_the_first_version_says_so() -> None:
    assert (in_words(None), in_words(7)) == ("no published version", "version 7")
