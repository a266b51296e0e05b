"""The flags of `./viewledger reconcile`, and its output."""

import pytest

from batch_layer.reconciling.reconciliation import Reconciliation
from jobs import cli
from jobs.commands.reconcile import equal_text
from jobs.exit_codes import ExitCode


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "", "2026-11-31"])
def test_a_wrong_day_is_named_with_what_is_allowed(day: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reconcile", "--day", day]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"viewledger: --day is not a day: {day!r}; give it as 2026-10-31, or all")


def test_an_unknown_flag_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reconcile", "--force"]) == ExitCode.BAD_INPUT
    assert "--force" in capsys.readouterr().err


def test_what_was_compared_is_said() -> None:
    found = Reconciliation(7, None, (), {"raw_events": 1200, "videos": 3, "billed_videos": 2})
    assert equal_text(found) == ("version 7: 1,200 raw events, 3 videos, 2 billed: archive = tables = served = ledger")
