"""Show many days as few ranges."""

from collections.abc import Iterable
from datetime import date, timedelta


def day_ranges(days: Iterable[date]) -> tuple[str, ...]:
    """Return the days as ranges of days that follow each other, both ends included: `2026-11-01 to 2026-11-07`."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return tuple(str(first) if first == last else f"{first} to {last}" for first, last in ranges)
