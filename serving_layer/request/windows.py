"""Windows of local time over quarters of an hour. Pure.

Settled views are kept by quarters of an hour of UTC. Every time zone in use is a whole number of quarters away from
UTC, also on the half-hour side, so hours, days and months of any zone are sums of whole quarters: nothing is estimated.
When clocks are put back, a day has 25 hours, with one hour twice, distinguished by its offset; when they are put
forward, it has 23. Lord Howe's half-hour change makes windows of 30 minutes.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestion.contract.instants import day_of_text
from ingestion.contract.instants import instant_of as utc_of_text
from serving_layer.problems.problems import refused

QUARTER_SECONDS = 900
QUARTERS_PER_DAY = 96
WINDOWS_MAX = 1_000
_EPOCH = date(1970, 1, 1)
_NO_ZONES = frozenset({"posix", "right", "posixrules", "localtime", "Factory"})
"""Files beside the zones: other copies of them (those in `right` count leap seconds), and settings of the machine."""
_is_zone_name = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}").fullmatch


class WindowKind(StrEnum):
    """The length of a window, in local time."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    RANGE = "range"
    """The whole range is one window."""


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name; raise ProblemError(timezone_unknown)."""
    try:
        if _is_zone_name(name) and len(name) <= 64 and name.partition("/")[0] not in _NO_ZONES:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise refused(
        "timezone_unknown", f"timezone is {name[:80]!r}; it must be an IANA name such as Europe/Berlin or UTC"
    )


def quarter_of(name: str, text: str, zone: ZoneInfo) -> int:
    """Return the quarter that begins at an instant: a day of the zone, or an ISO 8601 instant with its offset.

    Raises:
        ProblemError: range_invalid; names the parameter.
    """
    try:
        seconds = _beginning(text, zone).timestamp()
    except ValueError:
        raise refused(
            "range_invalid",
            f"{name} is {text[:80]!r}; it must be a day such as 2026-11-01, or an instant such as "
            "2026-11-01T00:00:00Z, between the years 2000 and 2100 (a + of an offset is written %2B in a URL)",
        ) from None
    if not datetime(2000, 1, 1, tzinfo=UTC).timestamp() <= seconds <= datetime(2100, 1, 1, tzinfo=UTC).timestamp():
        raise refused("range_invalid", f"{name} is {text[:80]!r}; it must lie between the years 2000 and 2100")
    quarter, rest = divmod(seconds, QUARTER_SECONDS)
    if rest:
        raise refused(
            "range_invalid", f"{name} is {text[:80]!r}; it must be on a quarter of an hour (:00, :15, :30, :45)"
        )
    return int(quarter)


def _beginning(text: str, zone: ZoneInfo) -> datetime:
    try:
        day = day_of_text(text)
    except ValueError:
        return utc_of_text(text)
    return datetime.combine(day, time(), zone)


def boundaries(start: int, end: int, kind: WindowKind, zone: ZoneInfo) -> list[int]:
    """Return the quarters at which the windows of [start, end) begin, and `end`; the first and the last may be cut.

    Raises:
        ProblemError: range_invalid (empty) or range_too_large.
    """
    if start >= end:
        raise refused("range_invalid", "from must be earlier than to")
    found = [start]
    for each in _beginnings(start, end, kind, zone):
        if len(found) == WINDOWS_MAX:
            raise refused("range_too_large", f"from and to hold more than {WINDOWS_MAX} windows; request fewer at once")
        found.append(each)
    return [*found, end]


def instant_of(quarter: int, zone: ZoneInfo) -> datetime:
    """Return the instant at which a quarter begins, in local time."""
    return datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone)


def day_of(quarter: int) -> date:
    """Return the UTC day of a quarter."""
    return _EPOCH + timedelta(days=quarter // QUARTERS_PER_DAY)


def quarter_of_day(day: date) -> int:
    """Return the quarter with which a UTC day begins."""
    return (day - _EPOCH).days * QUARTERS_PER_DAY


def _beginnings(start: int, end: int, kind: WindowKind, zone: ZoneInfo) -> Iterator[int]:
    """Yield the quarters in (start, end) at which another window begins."""
    if kind is WindowKind.RANGE:
        return
    if kind is WindowKind.HOUR:
        former = _hour(start, zone)
        for quarter in range(start + 1, end):
            if (here := _hour(quarter, zone)) != former:
                yield quarter
                former = here
        return
    day = instant_of(start, zone).date()
    while True:
        day = day + timedelta(days=1) if kind is WindowKind.DAY else _next_month(day)
        # If midnight does not exist, this is the instant of the change; if it comes twice, the first one.
        quarter = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) // QUARTER_SECONDS
        if quarter >= end:
            return
        yield quarter


def _hour(quarter: int, zone: ZoneInfo) -> tuple[int, timedelta | None]:
    local = instant_of(quarter, zone)
    return local.hour, local.utcoffset()


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
