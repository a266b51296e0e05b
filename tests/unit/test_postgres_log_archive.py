"""The script by which PostgreSQL keeps the pieces of its log."""

import subprocess
from pathlib import Path

from jobs.settings.state_home import PROJECT

SCRIPT = PROJECT / "deploy" / "postgres" / "log" / "archive.sh"


def archived(folder: Path, archive: Path, content: bytes) -> "subprocess.CompletedProcess[str]":
    """Archive a piece of this content as PostgreSQL does: with its path from the server's folder."""
    (folder / "pg_wal").mkdir(exist_ok=True)
    (folder / "pg_wal" / "piece").write_bytes(content)
    words = [str(SCRIPT), "pg_wal/piece", "piece", str(archive)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=30)


def test_a_piece_is_kept_as_a_whole_and_again_only_with_the_same_content(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / ".piece.part").write_bytes(b"the rest of an interrupted try")
    assert archived(tmp_path, archive, b"one").returncode == 0
    assert archived(tmp_path, archive, b"one").returncode == 0
    other = archived(tmp_path, archive, b"two")
    assert other.returncode == 1
    assert "each server needs an archive of its own" in other.stderr
    assert [(path.name, path.read_bytes()) for path in archive.iterdir()] == [("piece", b"one")]


def test_an_archive_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """It may be a disk that is not mounted: PostgreSQL keeps the piece and tries again."""
    away = archived(tmp_path, tmp_path / "away", b"one")
    assert away.returncode == 2
    assert "which must exist" in away.stderr
    assert not (tmp_path / "away").exists()
