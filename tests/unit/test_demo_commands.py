"""The commands that the demo runs as processes of their own."""

from pathlib import Path

import pytest

from jobs.demo.commands import run_command
from jobs.errors import CommandError


def test_a_command_that_fails_is_named_with_its_sentence_and_the_log(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with pytest.raises(CommandError) as caught:
        run_command(["receipts", "check", str(missing)], {}, tmp_path)
    sentence = f"receipts check failed: {missing} cannot be read (No such file or directory)"
    assert str(caught.value) == f"{sentence} (log: {tmp_path / 'demo-receipts-check.log'})"
