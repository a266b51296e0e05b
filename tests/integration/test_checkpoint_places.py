"""Places for checkpoints: a folder, a git repository and HDFS keep files alike."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.wiring.checkpoint_places import open_place


def a_folder(tmp_path: Path, _: pytest.FixtureRequest) -> str:
    return str(tmp_path / "kept" / "here")


def a_git_repository(tmp_path: Path, _: pytest.FixtureRequest) -> str:
    for words in (["init", "--quiet", "--bare", "-b", "main", str(tmp_path / "kept.git")],):
        subprocess.run(["git", *words], check=True)
    return f"git:{tmp_path / 'kept.git'}"


def a_folder_on_hdfs(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    stack: LocalStack = request.getfixturevalue("stack")
    return f"webhdfs://127.0.0.1:{stack.ports.namenode_http}/checkpoints/{tmp_path.name}"


@pytest.fixture(params=[a_folder, a_git_repository, a_folder_on_hdfs], ids=lambda make: make.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {"NAME": "books", "EMAIL": "books@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    make: Callable[[Path, pytest.FixtureRequest], str] = request.param
    return make(tmp_path, request)


def test_a_place_keeps_files_by_name(place: str) -> None:
    with open_place(place) as opened:
        assert opened.read("checkpoint-000001.json") is None
        opened.write("checkpoint-000001.json", b'{"a":1}\n')
        opened.write("checkpoint-000001.leaves.csv", b"x\n" * 100_000)
    with open_place(place) as opened:
        assert opened.read("checkpoint-000001.json") == b'{"a":1}\n'
        assert opened.read("checkpoint-000001.leaves.csv") == b"x\n" * 100_000
        opened.write("checkpoint-000002.json", b"")
    with open_place(place) as opened:
        assert opened.read("checkpoint-000002.json") == b""


@pytest.mark.parametrize(
    ("place_text", "code", "says"),
    [
        ("", ExitCode.BAD_INPUT, "is not a place for checkpoints"),
        (__file__, ExitCode.BAD_INPUT, "is there and is not a folder; allowed: a folder"),
        ("/dev/null", ExitCode.BAD_INPUT, "is there and is not a folder"),
        ("s3://bucket", ExitCode.BAD_INPUT, "allowed: a folder"),
        ("webhdfs://host/folder", ExitCode.BAD_INPUT, "not of the form"),
        ("webhdfs://host:port/folder", ExitCode.BAD_INPUT, "not of the form"),
        ("webhdfs://[host:1/folder", ExitCode.BAD_INPUT, "not of the form"),
        ("webhdfs://127.0.0.1:1/folder", ExitCode.UNAVAILABLE, "does not answer"),
        ("git:/nowhere/at/all", ExitCode.UNAVAILABLE, "git clone"),
    ],
)
def test_a_place_that_is_none_is_refused_in_one_sentence(place_text: str, code: ExitCode, says: str) -> None:
    with pytest.raises(CommandError, match=says) as refused, open_place(place_text) as opened:
        opened.read("checkpoint-000001.json")
    assert refused.value.code is code
    assert "\n" not in str(refused.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"), open_place(str(tmp_path / "file" / "in it")) as opened:
        opened.write("checkpoint-000001.json", b"")
