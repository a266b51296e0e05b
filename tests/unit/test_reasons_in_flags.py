"""Every command that stores a reason refuses unreadable text, before it calls a server."""

from pathlib import Path

import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode

PROPOSAL = ["--proposal", "catalogue:1", "--actor", "max"]
COMMANDS = {
    "refuse": ["billing", "proposals", "refuse", *PROPOSAL],
    "approve": ["billing", "proposals", "approve", *PROPOSAL],
    "limits": ["billing", "limits", "set", "EUR=1", "--actor", "max"],
    "hold": ["billing", "holds", "place", "--payee", "ann", "--currency", "EUR", "--amount", "1", "--actor", "max"],
    "new generation": ["topics", "new-generation", "--actor", "max"],
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No stack is there to be asked."""
    monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path))
    monkeypatch.delenv("VIEWLEDGER_POSTGRES_URL", raising=False)
    monkeypatch.delenv("VIEWLEDGER_KAFKA_BOOTSTRAP", raising=False)


@pytest.mark.parametrize("reason", ["", " ", "\u200c", "a\x1b[2J", "a\u202eb", "x" * 501])
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_reason_that_nobody_can_read_is_refused(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--reason", reason]) == ExitCode.BAD_INPUT
    assert "printable characters" in capsys.readouterr().err


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_reason_in_any_script_is_taken(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--reason", "می\u200cخواهم, ශ්\u200dරී, a\u00a0b"]) == ExitCode.BAD_INPUT
    answer = capsys.readouterr().err
    assert "printable characters" not in answer
    assert "VIEWLEDGER_" in answer, "what is missing now is a server"


def test_limits_are_not_set_without_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(COMMANDS["limits"]) == ExitCode.BAD_INPUT
    assert "--reason is missing; give it as --reason TEXT" in capsys.readouterr().err
