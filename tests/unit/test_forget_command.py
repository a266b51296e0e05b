"""Who is forgotten: the pseudonym that is given, or the one of the platform's id, and never a name in the record."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from batch_layer.maintaining.erase import ErasureResult
from batch_layer.maintaining.ports import RemovalOrder
from ingestion.pseudonym import pseudonym_key, pseudonym_of
from jobs.commands import forget
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from tests.command_lines import parsed

KEY = "ab" * 32
WORDS = ("--actor", "ann", "--reason", "request 42-7")


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[RemovalOrder]:
    """The orders that reach the tables."""
    taken: list[RemovalOrder] = []

    @contextmanager
    def reads_nothing(*_: object) -> Iterator[Any]:
        yield None

    def once(_: object, order: RemovalOrder) -> ErasureResult:
        taken.append(order)
        return ErasureResult(2, {"raw_events": 3})

    monkeypatch.setattr(forget.MaintenanceSettings, "from_environ", lambda _: None)
    monkeypatch.setattr(forget.settings, "environment", lambda _: {"VIEWLEDGER_PSEUDONYM_KEY": KEY})
    monkeypatch.setattr(forget, "_once", once)
    return taken


def forgotten(*words: str) -> ExitCode:
    """Do what a command line says."""
    command, params = parsed(("forget", *words, *WORDS, "--json"))
    return command.work()(**params)


def test_a_viewer_is_given_by_pseudonym_or_by_the_id_that_the_platform_knows(orders: list[RemovalOrder]) -> None:
    assert forgotten("--user", "anna") == forgotten("--viewer", "viewer_12") == ExitCode.OK
    assert [each.viewer for each in orders] == [pseudonym_of("anna", pseudonym_key(KEY)), "viewer_12"]


@pytest.mark.parametrize("words", [(), ("--user", "anna", "--viewer", "viewer_12")])
def test_one_of_both_is_given(orders: list[RemovalOrder], words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="give the viewer as --viewer PSEUDONYM or as --user ID, and not as both"):
        forgotten(*words)
    assert orders == []


@pytest.mark.parametrize("words", [("--user", "ann"), ("--viewer", "request"), ("--user", "42-7")])
def test_the_record_names_no_viewer(orders: list[RemovalOrder], words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="names the viewer") as refusal:
        forgotten(*words)
    assert refusal.value.code is ExitCode.BAD_INPUT
    assert orders == []


@pytest.mark.parametrize("user", ["42", "an", "quest", "7"])
def test_a_part_of_a_word_names_nobody(orders: list[RemovalOrder], user: str) -> None:
    assert forgotten("--user", user) == ExitCode.OK
    assert len(orders) == 1
