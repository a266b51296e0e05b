import re
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import cli
from jobs.command_line.frame import Command
from jobs.command_line.options import number
from jobs.command_line.root import ROOT
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[], ExitCode]], None]:
    """Puts a command named `probe` into the table, which does what the test wants."""

    def install(work: Callable[[], ExitCode]) -> None:
        module = types.ModuleType("probe_command")
        module.run = lambda *, size: work()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "probe_command", module)
        probe = Command(
            "probe", "probe_command:run", "do what a test wants", number("--size", "how much", 1, most=10**6)
        )
        monkeypatch.setitem(ROOT.commands, "probe", probe)
        monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path))

    return install


def stop(error: BaseException) -> ExitCode:
    raise error


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--help"]])
def test_help_lists_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == ExitCode.OK
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in ROOT.commands)


def test_the_release_is_known_without_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == ExitCode.OK
    assert re.fullmatch(r"viewledger \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+\)\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["lunch"], "unknown command: 'lunch'; give one of its commands\n./viewledger --help"),
        (["statuss"], "unknown command: 'statuss'; did you mean status?\n./viewledger --help"),
        (["probe", "--colour"], "unknown flag: --colour; leave it out\n./viewledger probe --help"),
        (["probe", "--sice", "3"], "unknown flag: --sice; did you mean --size?\n./viewledger probe --help"),
        (["probe", "-z"], "unknown flag: -z; leave it out\n./viewledger probe --help"),
        (["probe", "--size"], "--size has no value; give one after it\n./viewledger probe --help"),
        (["probe", "twice"], "unexpected word: 'twice'; leave it out\n./viewledger probe --help"),
        (
            ["probe", "--size", "\x1b[2J"],
            r"--size is not a whole number: '\x1b[2J'; give a whole number from 1 to 1000000",
        ),
        (["status", "--json=yes"], "--json takes no value; give it alone\n./viewledger status --help"),
    ],
)
def test_words_that_cannot_be_read_get_one_sentence_and_the_place_of_the_help(
    words: list[str], answer: str, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda: ExitCode.OK)
    assert cli.main(words) == ExitCode.BAD_INPUT
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"viewledger: {answer}")
    assert shown.err.endswith(" --help shows its usage\n")
    assert shown.err.count("\n") == 2


def test_the_code_of_a_command_is_the_exit_code(command: Callable[..., None]) -> None:
    command(lambda: ExitCode.GATE_FAILED)
    assert cli.main(["probe"]) == 3


def test_a_problem_the_user_can_act_on_is_one_sentence(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda: stop(CommandError("the period is open; wait", ExitCode.REFUSED)))
    assert cli.main(["probe"]) == ExitCode.REFUSED
    assert capsys.readouterr().err == "viewledger: the period is open; wait\n"


def test_an_interruption_has_its_own_code(command: Callable[..., None]) -> None:
    command(lambda: stop(KeyboardInterrupt()))
    assert cli.main(["probe"]) == ExitCode.INTERRUPTED


def test_an_unexpected_error_shows_one_sentence_and_keeps_the_trace_in_a_file(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command(lambda: stop(ZeroDivisionError("division by zero")))
    assert cli.main(["probe"]) == ExitCode.FAILED
    shown = capsys.readouterr()
    (trace,) = (tmp_path / "log").glob("error-*.txt")
    assert shown.err == f"viewledger: unexpected error ZeroDivisionError; details in {trace}\n"
    assert "in stop" in trace.read_text()
    assert trace.read_text().endswith("builtins.ZeroDivisionError\n")


def test_the_trace_of_an_unexpected_error_is_its_owners_alone_and_has_no_value_in_it(
    command: Callable[..., None], tmp_path: Path
) -> None:
    account = "".join(["DE", "89370400440532013000"])

    def broken() -> ExitCode:
        try:
            return {}[account]
        except KeyError as error:
            raise RuntimeError(f"Key (iban)=({account}) exists") from error

    command(broken)
    for words in (["--size", "89370"], ["--size=89370"]):
        assert cli.main(["probe", *words]) == ExitCode.FAILED
    traces = list((tmp_path / "log").glob("error-*.txt"))
    assert len(traces) == 2, "one that was written in the same second stays"
    for trace in traces:
        text = trace.read_text()
        assert trace.stat().st_mode & 0o777 == 0o600
        assert text.startswith("probe --size\n")
        assert all(part in text for part in ("in broken", "builtins.KeyError\nwhich led to:", "builtins.RuntimeError"))
        assert "89370" not in text


def test_pytest_gets_its_own_flags() -> None:
    words = ["-x", "-k", "redis and not slow", "--maxfail=1", "--durations", "10", "-vv", "-h", "tests/unit"]
    with ROOT.commands["test"].make_context("test", list(words)) as context:
        assert list(context.params["words"]) == words
