"""The one error for a part that does not answer."""

import sys

import pytest

from billing.errors import RoleRefusedError, SchemaMissingError
from ingestion.contract.unavailable import PART_NAMES, Part, UnavailableError, does_not_answer
from jobs import cli
from jobs.command_line.frame import Command
from jobs.command_line.root import ROOT
from jobs.exit_codes import ExitCode


def test_it_says_its_sentence_and_carries_its_part() -> None:
    error = UnavailableError(Part.HDFS, "HDFS at hdfs://h:1 does not answer")
    assert (str(error), error.part) == ("HDFS at hdfs://h:1 does not answer", "hdfs")


def test_every_part_has_a_name_for_people_that_can_begin_a_sentence() -> None:
    assert set(PART_NAMES) == set(Part)
    assert all(name[0].isupper() for name in PART_NAMES.values())


def test_the_words_of_a_client_stand_on_one_line_after_the_name_of_the_part() -> None:
    refused = OSError("connection\nrefused\n\tIs the server running?\n")
    assert str(does_not_answer(Part.POSTGRES, refused)) == ("PostgreSQL does not answer (connection refused)")
    assert str(does_not_answer(Part.KAFKA, TimeoutError())) == "Kafka does not answer (TimeoutError)"


def test_books_without_tables_or_rights_count_as_away() -> None:
    for error in (SchemaMissingError("no tables"), RoleRefusedError("not this login")):
        assert isinstance(error, UnavailableError)
        assert error.part is Part.POSTGRES


def test_a_command_that_meets_it_ends_with_code_4_and_its_sentence_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Away:
        @staticmethod
        def run() -> ExitCode:
            raise UnavailableError(Part.KAFKA, "Kafka at k:1 does not answer")

    monkeypatch.setitem(sys.modules, "away_command", Away)  # type: ignore[arg-type]
    monkeypatch.setitem(ROOT.commands, "away", Command("away", "away_command:run", "is away"))
    assert cli.main(["away"]) == ExitCode.UNAVAILABLE == 4
    assert capsys.readouterr() == ("", "viewledger: Kafka at k:1 does not answer\n")
