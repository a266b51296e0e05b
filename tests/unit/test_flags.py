"""Values in flags are read strictly, and what is wrong gets a sentence."""

from argparse import ArgumentTypeError
from datetime import date

import pytest

from jobs.commands.flags import day_of, whole_number
from jobs.errors import CommandError


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("-3", -3), ("007", 7)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_000", "1e2", "١٢", "1.0", "+1", "0x1", "NaN", "9" * 19, "1\n"])
def test_a_whole_number_is_plain_digits(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a whole number like 12"):
        whole_number(text)


def test_a_day_is_read_in_one_form_only() -> None:
    assert day_of("--execution-on", "2026-12-01") == date(2026, 12, 1)
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
            CommandError,
            match=r"--execution-on: .* is not a day; give it as 2026-10-31, in the years from 1970 to 9998",
        ):
            day_of("--execution-on", text)
