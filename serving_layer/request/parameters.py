"""The query parameters of the expensive routes, checked before anything is read. Pure.

Each reader takes a parameter's text and returns its value, or raises ProblemError with a sentence that names the
parameter, what was sent and what is allowed. Readers of parameters that a request needs take None for a missing one.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from ingestion.contract.instants import BOUNDS, day_of_text, instant_of
from serving_layer.problems.problems import refused
from serving_layer.request.windows import QUARTERS_PER_DAY, WindowKind, boundaries, quarter_of, quarter_of_day

GROUPS = ("country", "device")
ORDERS = ("views", "billable_views")
MEASURES = ("views", "watched_seconds", "average_view_duration", "unique_viewers", "completion")
_KEPT_BY_DAY = {"unique_viewers": "who they are", "completion": "how far viewers got"}
"""Measure that is kept by video and UTC day alone → what it says."""
LIMIT_DEFAULT, LIMIT_MAX = 1_000, 10_000
TOP_LIMIT_DEFAULT, TOP_LIMIT_MAX = 100, 1_000
DAYS_MAX = 366
FROM_EXAMPLE, TO_EXAMPLE = "2026-11-01", "2026-12-01"
is_number = re.compile(r"[0-9]{1,18}").fullmatch
"""Digits that `int` reads at once and PostgreSQL stores: `int` raises on a text of thousands of digits."""


@dataclass(frozen=True)
class AtVersion:
    """The requested version: by number, by instant, or the current one (both None)."""

    number: int | None = None
    as_of: datetime | None = None

    @property
    def is_fixed(self) -> bool:
        """Return whether the same query always has the same answer."""
        return self.number is not None or self.as_of is not None


@dataclass(frozen=True)
class SeriesQuery:
    """A series: `edges` are the quarters at which its windows begin, and the last one's end."""

    edges: tuple[int, ...]
    kind: WindowKind
    zone: ZoneInfo
    group_by: tuple[str, ...]

    @property
    def is_by_day(self) -> bool:
        """Return whether every window begins and ends with a UTC day."""
        return all(edge % QUARTERS_PER_DAY == 0 for edge in self.edges)


def by_utc_days(start_on: date, end_on: date, *group_by: str) -> SeriesQuery:
    """Return the series of the UTC days [start_on, end_on)."""
    start, end = quarter_of_day(start_on), quarter_of_day(end_on)
    return SeriesQuery(tuple(range(start, end + 1, QUARTERS_PER_DAY)), WindowKind.DAY, ZoneInfo("UTC"), group_by)


@dataclass(frozen=True)
class TopQuery:
    """The most viewed videos of the UTC days [start_on, end_on)."""

    by: str
    start_on: date
    end_on: date
    among: tuple[str, ...] | None = None
    """The videos that are ranked; None: all."""


def refuse_unknown(pairs: Iterable[tuple[str, str]], allowed: Collection[str]) -> None:
    """Raise ProblemError where a parameter is not one of the allowed ones, or appears twice."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in allowed:
            names = ", ".join(sorted(allowed))
            remedy = f"allowed are {names}" if names else "this route takes none"
            raise refused("parameter_unknown", f"{name[:40]!r} is not a parameter here; {remedy}")
        if name in seen:
            raise refused("parameter_repeated", f"{name} appears twice; give it once")
        seen.add(name)


def canonical(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the query without its cursor, for the cursor to be bound to."""
    return urlencode([(name, value) for name, value in sorted(pairs) if name != "cursor"])


def choice(name: str, allowed: Sequence[str], code: str) -> Callable[[str], str]:
    """Return the reader of a parameter that is one of the allowed texts."""

    def read(text: str) -> str:
        if text not in allowed:
            raise refused(code, f"{name} is {text[:40]!r}; allowed are {', '.join(allowed)}")
        return text

    return read


def limit_to(most: int) -> Callable[[str], int]:
    """Return the reader of how many rows a page has."""

    def read(text: str) -> int:
        if not is_number(text) or not 1 <= int(text) <= most:
            raise refused("limit_invalid", f"limit is {text[:40]!r}; it must be a whole number from 1 to {most}")
        return int(text)

    return read


def version_number(text: str) -> int:
    """Return the number of a version."""
    if not is_number(text) or int(text) < 1:
        raise refused("version_invalid", f"version is {text[:40]!r}; it must be a whole number from 1 on")
    return int(text)


def as_of_instant(text: str) -> datetime:
    """Return the instant of the requested version."""
    try:
        return instant_of(text)
    except ValueError:
        raise refused(
            "as_of_invalid",
            f"as_of is {text[:40]!r}; it must be an instant such as 2026-11-01T00:00:00Z, {BOUNDS}",
        ) from None


def at_version(number: int | None, as_of: datetime | None, *, sent: str, now: datetime) -> AtVersion:
    """Return the requested version; `sent` is the text of `as_of`.

    Raises:
        ProblemError: version_invalid (both are given) or as_of_invalid (the instant is not over yet).
    """
    if number is not None and as_of is not None:
        raise refused("version_invalid", "version and as_of exclude each other; give one of them")
    if as_of is not None and as_of > now:
        raise refused("as_of_invalid", f"as_of is {sent[:40]!r}, which is not over yet; it is {now:%FT%TZ}")
    return AtVersion(number, as_of)


def needed(name: str, example: str) -> Callable[[str | None], str]:
    """Return the reader of an end of a range, which has no default."""

    def read(text: str | None) -> str:
        if not text:
            raise refused("range_invalid", f"{name} is missing; give it as in {name}={example}")
        return text

    return read


def day(name: str, example: str) -> Callable[[str | None], date]:
    """Return the reader of a day at an end of a range."""

    def read(sent: str | None) -> date:
        text = needed(name, example)(sent)
        try:
            return day_of_text(text)
        except ValueError:
            raise refused(
                "range_invalid", f"{name} is {text[:40]!r}; it must be a day such as {example}, {BOUNDS}"
            ) from None

    return read


def groups_of(text: str) -> tuple[str, ...]:
    """Return the groups that a text names with commas between them, in the order of GROUPS."""
    named = [each for each in text.split(",") if each]
    if unknown := [each for each in named if each not in GROUPS]:
        raise refused("group_unknown", f"group_by names {unknown[0][:40]!r}; allowed are country, device, or both")
    return tuple(each for each in GROUPS if each in named)


def series_query(start: str, end: str, kind: WindowKind, *, zone: ZoneInfo, group_by: str = "") -> SeriesQuery:
    """Return the requested series; raise ProblemError if its ends are not on the zone's clock, or too far apart."""
    first, last = quarter_of("from", start, zone), quarter_of("to", end, zone)
    groups = groups_of(group_by)
    return SeriesQuery(tuple(boundaries(first, last, kind, zone)), kind, zone, groups)


def refuse_parts_of_days(query: SeriesQuery, measure: str) -> None:
    """Raise ProblemError if a series asks for parts of what is kept by video and UTC day."""
    if measure not in _KEPT_BY_DAY:
        return
    if query.group_by:
        sentence = f"{measure} has no group_by: {_KEPT_BY_DAY[measure]} is kept by video and UTC day alone"
    elif query.is_by_day:
        return
    else:
        sentence = (
            f"{measure} is counted by UTC days, so windows begin and end at midnight UTC; "
            f"those of window={query.kind} in the timezone {query.zone.key} with this from and to do not"
        )
    raise refused("measure_by_day", sentence)


def top_query(by: str, start_on: date, end_on: date) -> TopQuery:
    """Return the requested ranking; raise ProblemError if its days are none, or too many."""
    check_days(start_on, end_on)
    return TopQuery(by, start_on, end_on)


def check_days(start_on: date, end_on: date) -> None:
    """Raise ProblemError if the days [start_on, end_on) are none, or too many for one answer."""
    if start_on >= end_on:
        raise refused("range_invalid", "from must be earlier than to")
    if end_on - start_on > timedelta(days=DAYS_MAX):
        raise refused("range_too_large", f"from and to hold more than {DAYS_MAX} days; request fewer")
