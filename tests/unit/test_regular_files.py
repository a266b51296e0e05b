"""Nothing waits on a pipe that a user names, and nothing from a file moves the cursor of a terminal."""

import os
import socket
from pathlib import Path

import pytest

from billing.errors import KeyRefusedError
from billing.file_regular import open_regular, read_regular
from billing.proof.ed25519_keys import read_key
from ingestion.contract.printable import escaped
from jobs.cli import main
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.checkpoint_places import FolderPlace
from jobs.wiring.key_files import keys_of_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    return tmp_path


@pytest.mark.parametrize("name", ["pipe", "socket", "loop", "folder", "zero", "nowhere"])
def test_what_is_not_a_regular_file_is_refused_at_once(folder: Path, name: str) -> None:
    with pytest.raises(OSError) as refused:
        open_regular(folder / name)
    assert refused.value.strerror


def test_a_file_is_read_by_its_name_and_by_a_link(folder: Path) -> None:
    assert read_regular(folder / "file") == read_regular(folder / "link") == b"content"


def test_a_pipe_as_key_place_or_events_ends_in_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = "is a folder, a pipe or a device; give a file"
    with pytest.raises(KeyRefusedError, match=answer):
        read_key(folder / "pipe")
    with pytest.raises(CommandError, match=answer):
        FolderPlace(folder).read("pipe")
    with pytest.raises(CommandError, match=answer):
        keys_of_file("--keys", folder / "pipe", bytes)
    for line in (["ingest"], ["receipts", "keys", "create", "--kid=k", "--key"]):
        assert main([*line, str(folder / "pipe")]) == ExitCode.BAD_INPUT
        assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zoë, رضا‌یی, දිනේශ්", "Zoë, رضا‌یی, දිනේශ්"),
        ("\x1b]0;title\x07red\x1b[2J", "\\x1b]0;title\\x07red\\x1b[2J"),
        ("two\nlines", "two\nlines"),
        ("over\rwritten\x9b", "over\\rwritten\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_a_terminal_is_shown_what_is_not_printable_as_its_escape(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_name_that_holds_control_characters_is_escaped_in_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", "\x1b[2Jevents"]) == ExitCode.BAD_INPUT
    assert "\\x1b[2Jevents" in capsys.readouterr().err
