import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from jobs.commands import check, test
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT
from jobs.setup import programs_for_tests


class Ended:
    """A program that has run and ended with a code."""

    def __init__(self, code: int) -> None:
        self.code = code

    def wait(self) -> int:
        return self.code

    def terminate(self) -> None:
        """Nothing: it has ended."""


class Programs:
    """Takes the place of what starts programs: keeps the words, and ends those that are to fail with their code."""

    def __init__(self) -> None:
        self.started: list[tuple[str, ...]] = []
        self.codes: dict[str, int] = {}

    def start(self, what: str, words: Sequence[str], **_: object) -> Ended:
        self.started.append(tuple(words))
        return Ended(self.codes.get(what, 0))


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs()
    monkeypatch.setattr(test, "start", found.start)
    monkeypatch.setattr(test, "stack_for_all", lambda _: nullcontext())
    monkeypatch.setattr(programs_for_tests, "provide", lambda *_: None)
    return found


def test_words_run_the_tests_they_name_and_nothing_else(programs: Programs) -> None:
    assert test.run(words=["tests/unit/test_x.py", "-x"]) is ExitCode.OK
    assert programs.started == [("pytest", "tests/unit/test_x.py", "-x")]


@pytest.mark.parametrize("code", [1, 2, -15])
def test_a_test_that_fails_and_a_run_that_is_interrupted_are_a_failure(programs: Programs, code: int) -> None:
    programs.codes["tests"] = code
    assert test.run(words=["-k", "nothing"]) is ExitCode.FAILED


@pytest.mark.parametrize("words", [["tests/unit/test_nope.py"], ["-k", "no such words"]])
def test_words_that_name_no_test_are_refused(words: list[str]) -> None:
    command = [sys.executable, "-P", "-m", "jobs.cli", "test", *words, "tests/unit/test_nearest.py"]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT)}
    answer = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == ExitCode.BAD_INPUT, answer.stdout
    assert answer.stderr.splitlines()[-1].startswith(f"viewledger: no test ran: {shlex.join(words)} ")


@pytest.mark.parametrize("words", [[], ["--durations=9", "-x"]])
def test_without_a_name_the_checks_and_every_test_run(programs: Programs, words: list[str]) -> None:
    assert test.run(words=words) is ExitCode.OK
    check_run, (pytest_word, *flags) = programs.started
    assert check_run == ("jobs.cli", "check")
    assert pytest_word == "pytest"
    assert flags[len(flags) - len(words) :] == words
    assert flags[:2] == ["-n", str(test.PROCESSES)]
    assert all(flag.startswith("-") for flag in flags[2:]), "no file is named or left out"


@pytest.mark.parametrize("what", ["check", "tests"])
def test_whatever_fails_the_whole_run_fails_and_names_it(
    what: str, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.codes[what] = 1
    assert test.run(words=[]) is ExitCode.FAILED
    assert f"test: failed: {what}" in capsys.readouterr().err


def test_files_of_tests_are_in_memory_only_where_there_is_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(test, "IN_MEMORY", tmp_path)
    monkeypatch.setattr(test, "ROOM_BYTES_MIN", 0)
    with test.short_lived_folder() as folder:
        assert folder.parent == tmp_path
    assert not folder.exists()
    for name, value in (("ROOM_BYTES_MIN", 2**62), ("IN_MEMORY", tmp_path / "there is none")):
        monkeypatch.setattr(test, name, value)
        with test.short_lived_folder() as folder:
            assert folder.parent != tmp_path


@pytest.mark.parametrize("failing", ["format", "lint", "types"])
def test_check_runs_every_tool_and_names_those_that_found_something(
    failing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    def finds_nothing(*command: str) -> bool:
        ran.append(command)
        return command != check.TOOLS[failing]

    monkeypatch.setattr(check, "finds_nothing", finds_nothing)
    assert check.run() is ExitCode.FAILED
    assert ran == list(check.TOOLS.values())
    assert capsys.readouterr().err == f"check: failed: {failing}\n"


def test_one_unit_test_waits_for_no_client_of_a_server_and_not_for_hypothesis() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "jobs.cli", "test", "tests/unit/test_nearest.py"]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stdout
    command[-3:] = ["pytest", "-q", "tests/unit/test_nearest.py"]
    inner = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    imported = {line.rpartition("|")[2].strip() for line in (answer.stderr + inner.stderr).splitlines()}
    assert "pytest" in imported
    assert not imported & {"kafka", "redis", "psycopg2", "pyspark", "hypothesis", "httpx", "locust"}
