"""The faults command's words."""

import json

import pytest

from attacks.command import SENTENCES
from faults.choosing import chosen
from faults.command import DESCRIPTIONS, FAULTS, QUICK
from jobs import cli
from jobs.exit_codes import ExitCode


def test_every_fault_says_in_one_line_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["faults", "--list"]) == ExitCode.OK
    listed = capsys.readouterr().out
    assert all(f"{name} " in listed and DESCRIPTIONS[name] in listed for name in FAULTS)
    assert all(text.endswith(".") for text in DESCRIPTIONS.values())


@pytest.mark.parametrize(("command", "sentences"), [("faults", DESCRIPTIONS), ("attacks", SENTENCES)])
def test_a_list_is_one_json_document_if_wanted(
    command: str, sentences: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--list", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == sentences


def test_a_name_may_be_a_beginning() -> None:
    assert chosen(["redis-k"], FAULTS, "fault") == ["redis-killed"]
    assert chosen([], FAULTS, "fault") == list(FAULTS)
    assert set(QUICK) <= set(FAULTS)


def test_an_unknown_fault_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["faults", "earthquake"]) == ExitCode.BAD_INPUT
    assert "no fault is called earthquake; ./viewledger faults --list" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--seeds", "many"], ["--seed", "x"]])
def test_a_wrong_number_is_bad_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["faults", *words]) == ExitCode.BAD_INPUT
    assert words[0] in capsys.readouterr().err
