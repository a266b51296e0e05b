"""Parse instants and days: one way everywhere, in UTC and within bounds, so that no later step can fail.

Digits beyond the microsecond are cut off. They are never rounded: an instant does not move into another second, nor
into another month.
"""

import re
from datetime import UTC, date, datetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_BEFORE = datetime(9999, 1, 1, tzinfo=UTC)
"""Exclusive: a year before the latest instant that can be written, so that an offset or a term never exceeds it."""
BOUNDS = "in the years from 1970 to 9998 (UTC)"
_is_day = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch


def in_utc(instant: datetime) -> datetime:
    """Return an aware instant in UTC.

    Raises:
        ValueError: it cannot be expressed in UTC, or lies outside the bounds.
    """
    try:
        found = instant.astimezone(UTC)
    except OverflowError:
        found = datetime.min.replace(tzinfo=UTC)
    if not EARLIEST <= found < LATEST_BEFORE:
        raise ValueError(f"an instant lies {BOUNDS}")
    return found


def instant_of(text: str) -> datetime:
    """Return the instant, in UTC, in a parameter or a flag: ISO 8601 with its zone.

    Raises:
        ValueError: it is not an instant, has no zone, or lies outside the bounds.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs its zone")
    return in_utc(instant)


def day_of_text(text: str) -> date:
    """Return the day in a parameter or a flag: `2026-11-01` and no other form.

    Raises:
        ValueError: it is not a day, or lies outside the bounds.
    """
    day = date.fromisoformat(text) if _is_day(text) else None
    if day is None or not EARLIEST.date() <= day < LATEST_BEFORE.date():
        raise ValueError(f"a day is written as 2026-11-01 and lies {BOUNDS}")
    return day
