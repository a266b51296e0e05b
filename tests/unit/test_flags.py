"""Values in flags are read strictly, and what is wrong gets the end of a sentence that begins with the flag."""

from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest

from jobs.command_line.values import (
    BillingPeriod,
    Currency,
    Day,
    EventId,
    PartitionOffset,
    PathName,
    PayeeId,
    StatementId,
    WholeNumber,
)


def read(kind: click.ParamType[Any, str], text: str) -> object:
    return kind.convert(text, None, None)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("-3", -3), ("007", 7)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert read(WholeNumber(-3), text) == number


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_000", "1e2", "١٢", "1.0", "+1", "0x1", "NaN", "9" * 19, "1\n"])
def test_a_whole_number_is_plain_digits(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not a whole number: .*; give a whole number from 0 to 99"):
        read(WholeNumber(0, 99), text)


@pytest.mark.parametrize("text", ["0", "-1", "101", "9" * 18])
def test_a_whole_number_is_within_its_bounds(text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"is out of range: {text}; give a whole number from 1 to 100"):
        read(WholeNumber(1, 100), text)


def test_a_day_is_read_in_one_form_only() -> None:
    assert read(Day(), "2026-12-01") == date(2026, 12, 1)
    for text in (
        "",
        "20261201",
        "2026-W49-2",
        "2026-02-30",
        "2026-12-1",
        "٢٠٢٦-١٢-٠١",
        "2026-12-01T00:00",
        "2026-12-01\n",
    ):
        with pytest.raises(
            click.BadParameter, match=r"is not a day: .*; give it as 2026-10-31, in the years from 1970 to 9998"
        ):
            read(Day(), text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (PartitionOffset(), "3:1881", (3, 1881)),
        (EventId(), "8F14E45FCEEA467F9A3C1B2D3E4F5A6B", "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"),
        (StatementId(), "0f" * 16, "0f" * 16),
        (Currency(), "EUR", "EUR"),
        (PayeeId(), "ann", "ann"),
        (PathName(path_type=Path), "not/there", Path("not/there")),
    ],
)
def test_what_names_one_thing_is_read(kind: click.ParamType[Any, str], text: str, value: object) -> None:
    assert read(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        (PartitionOffset(), "3", "is not a place on the log: '3'; give one like 3:1881"),
        (PartitionOffset(), "-3:1", "is not a place on the log: '-3:1'"),
        (PartitionOffset(), "١:١", "is not a place on the log"),
        (EventId(), "8f14", "is not an event id: '8f14'; give a UUID"),
        (StatementId(), "0F" * 16, "is not a statement id: .*; give its 32 hex digits"),
        (Currency(), "eur", "is not an ISO 4217 currency: 'eur'; give one like EUR"),
        (Currency(), "XAU", "is not an ISO 4217 currency: 'XAU'"),
        (PathName(), "", "is empty; name a file or a folder"),
        (PathName(), "a" * 5_000, "cannot be used: 'a{40}' .*; name another"),
        (PayeeId(), "", "is not a payee's id: ''; give 1 to 128 characters"),
        (PayeeId(), "x" * 129, "is not a payee's id"),
        (BillingPeriod(), "2026-13", "cannot be read: '2026-13' is not a period: .*give a month"),
        (BillingPeriod(), "2026-11-02/2026-11-02", "a period ends after it starts"),
    ],
)
def test_what_names_nothing_is_one_sentence(kind: click.ParamType[Any, str], text: str, answer: str) -> None:
    with pytest.raises(click.BadParameter, match=answer):
        read(kind, text)
