"""Values in flags: one reading of whole numbers and days."""

import re
from argparse import ArgumentTypeError
from datetime import date

from ingestion.contract.instants import BOUNDS, day_of_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


def whole_number(text: str) -> int:
    """Return a whole number; `int` itself would take `1_000`, ` 12` and the digits of every script.

    Raises:
        ArgumentTypeError: argparse makes a sentence of it that names the flag.
    """
    if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
        raise ArgumentTypeError(f"{text[:40]!r} is not a whole number like 12")
    return int(text)


def day_of(flag: str, text: str) -> date:
    """Return the day that a flag names; only as 2026-10-31, of the forms of ISO 8601."""
    try:
        return day_of_text(text)
    except ValueError as error:
        raise CommandError(
            f"{flag}: {text!r} is not a day; give it as 2026-10-31, {BOUNDS}", ExitCode.BAD_INPUT
        ) from error
