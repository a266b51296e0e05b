"""`logs`, `up` and `demo --keep`: which stack is meant, and the end of a log."""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import cli
from jobs.commands.logs import last_lines, log_of, new_lines
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import fixed_ports
from jobs.local_stack.servers import OPTIONAL_PROCESSES, PROCESSES
from jobs.settings.stack_in_use import folder_in_use
from jobs.setup.programs import OBSERVERS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def demo_is_up(home: Path) -> Iterator[Path]:
    """A folder that a supervisor holds, as `demo --keep` leaves it."""
    (home / "demo" / "log").mkdir(parents=True)
    with (home / "demo" / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield home / "demo"


def written(path: Path, lines: int) -> Path:
    path.write_text("".join(f"line {number}\n" for number in range(lines)))
    return path


@pytest.mark.parametrize(("wanted", "first"), [(1, 9_999), (50, 9_950), (9_999, 1), (10_000, 0), (20_000, 0)])
def test_the_last_lines_are_as_many_as_wanted_whatever_their_length(tmp_path: Path, wanted: int, first: int) -> None:
    with written(tmp_path / "api.log", 10_000).open("rb") as file:
        assert last_lines(file, wanted) == [f"line {number}" for number in range(first, 10_000)]


def test_long_lines_are_found_whole_and_nothing_in_them_steers_a_terminal(tmp_path: Path) -> None:
    long = "x" * 5_000
    (tmp_path / "api.log").write_text(f"before\n{long}\nred \x1b[31m\n")
    with (tmp_path / "api.log").open("rb") as file:
        assert last_lines(file, 2) == [long, "red \\x1b[31m"]


def test_following_yields_each_new_line_once_it_is_complete_also_after_the_log_was_emptied(tmp_path: Path) -> None:
    path = written(tmp_path / "api.log", 3)
    steps = iter(["line 3\nhal", "f\n", None, "again\n"])

    def wait() -> None:
        text = next(steps)
        if text is None:
            path.write_text("")
            return
        with path.open("a") as more:
            more.write(text)

    with path.open("rb") as file:
        last_lines(file, 1)
        found = new_lines(file, wait=wait)
        assert [next(found) for _ in range(3)] == ["line 3", "half", "again"]


def test_a_part_without_a_log_is_refused_and_those_with_one_are_named(home: Path) -> None:
    (home / "local" / "log").mkdir(parents=True)
    with pytest.raises(CommandError, match=r"stack local has no log of 'api'; ./viewledger up starts a stack"):
        log_of(home / "local", "api")
    written(home / "local" / "log" / "speed.log", 1)
    with pytest.raises(CommandError, match=r"no log of '../../secrets'; give one of speed"):
        log_of(home / "local", "../../secrets")
    assert cli.main(["logs", "spead"]) == ExitCode.BAD_INPUT


def test_a_log_is_read_from_the_stack_that_runs(demo_is_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(demo_is_up / "log" / "speed.log", 3)
    assert cli.main(["logs", "speed", "--lines", "2"]) == ExitCode.OK
    assert capsys.readouterr().out == "line 1\nline 2\n"


@pytest.mark.parametrize("words", [["up"], ["up", "--servers-only"]])
def test_no_second_stack_is_started_beside_the_one_that_commands_use(
    demo_is_up: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder_in_use() == demo_is_up
    assert cli.main(words) == ExitCode.REFUSED
    assert "stack demo is running already" in capsys.readouterr().err
    assert not (demo_is_up.parent / "local").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], ExitCode.OK, "is running already"),
        (["--servers-only"], ExitCode.OK, "is running already"),
        (["--processes", "speed"], ExitCode.OK, "is running already"),
        (
            ["--processes", "collector,sql,batch"],
            ExitCode.REFUSED,
            "is running without sql, batch; run ./viewledger down",
        ),
        (["--with", "observe"], ExitCode.REFUSED, "is running without prometheus, alertmanager, "),
        (["--processes", "sqlx"], ExitCode.BAD_INPUT, "--processes names no process: sqlx"),
    ],
)
def test_a_stack_that_runs_is_not_said_to_have_what_it_lacks(
    home: Path, words: list[str], code: ExitCode, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "local").mkdir()
    children = {name: {"state": "ready"} for name in ("kafka", "redis", "collector", "speed", "api")}
    (home / "local" / "stack.json").write_text(json.dumps({"children": children}))
    with (home / "local" / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["up", *words]) == code
    assert sentence in capsys.readouterr().err


def test_a_demo_that_stays_is_refused_beside_another_stack(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "local").mkdir()
    with (home / "local" / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["demo", "--keep"]) == ExitCode.REFUSED
    assert "stack local is running already" in capsys.readouterr().err


def test_nothing_can_be_restarted_or_stopped_while_no_stack_runs(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["restart", "speed"]) == ExitCode.UNAVAILABLE
    assert "no local stack is running; ./viewledger up starts one" in capsys.readouterr().err
    assert cli.main(["down"]) == ExitCode.OK
    assert "no local stack is running\n" in capsys.readouterr().err
    assert not (home / "local").exists()


def test_ports_are_listed_of_what_runs_alone() -> None:
    ports = fixed_ports({})
    assert set(ports.listening(processes=("collector", "speed", "api"), observers=())) == {
        *("api", "api_metrics", "collector", "collector_metrics", "speed_metrics"),
        *("kafka", "kafka_controller", "redis", "postgres"),
        *("namenode", "namenode_http", "datanode", "datanode_ipc", "datanode_http"),
    }
    assert ports.listening(processes=(*PROCESSES, *OPTIONAL_PROCESSES), observers=OBSERVERS) == ports.by_name()
    assert "api" not in ports.listening(processes=(), observers=())
