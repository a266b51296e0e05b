"""The commands that the demo runs as processes of their own, and what it says at its end."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from jobs.command_line.root import ROOT
from jobs.demo.command import report
from jobs.demo.commands import run_command
from jobs.demo.steps import Demo
from jobs.errors import CommandError


def test_a_command_that_fails_is_named_with_its_sentence_and_the_log(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with pytest.raises(CommandError) as caught:
        run_command(["receipts", "check", str(missing)], {}, tmp_path)
    sentence = f"receipts check failed: {missing} cannot be read (No such file or directory)"
    assert str(caught.value) == f"{sentence} (log: {tmp_path / 'demo-receipts-check.log'})"


DONE = cast(
    Demo,
    SimpleNamespace(
        api_url="http://127.0.0.1:7", sample_call="call", sample_answer="answer", sample_payee="channel-1",
        events_per_second={}, freshness_seconds={},
    ),
)  # fmt: skip


def test_a_stack_that_is_kept_comes_with_an_address_and_tokens_that_a_stranger_can_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report(DONE, [], seconds=1.0, kept=True, as_json=False)
    shown = capsys.readouterr().out
    assert "http://127.0.0.1:7/portal" in shown
    commands = re.findall(r"\./viewledger (token .*)", shown)
    assert [words.split()[2] for words in commands] == ["creator", "finance", "operator", "auditor", "reviewer"]
    for words in commands:
        ROOT.commands["token"].make_context("token", words.split()[1:])  # each can be read
    report(DONE, [], seconds=1.0, kept=False, as_json=False)
    assert "/portal" not in capsys.readouterr().out
    report(DONE, [], seconds=1.0, kept=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["payee"] == "channel-1"
