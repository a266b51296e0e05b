"""The query parameters of the dear routes, checked before anything is read. Pure."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from ingestion.contract.instants import BOUNDS, day_of_text, instant_of
from serving_layer.problems.problems import refused
from serving_layer.request.windows import WindowKind, boundaries, quarter_of, zone_of

GROUPS = ("country", "device")
ORDERS = ("views", "billable_views")
LIMIT_DEFAULT, LIMIT_MAX = 1_000, 10_000
TOP_LIMIT_DEFAULT, TOP_LIMIT_MAX = 100, 1_000
TOP_DAYS_MAX = 366
COMMON = frozenset({"version", "as_of", "format", "limit", "cursor"})
is_number = re.compile(r"[0-9]{1,18}").fullmatch
"""Of a length that `int` reads at once and PostgreSQL keeps: it raises on a text of thousands of digits."""


@dataclass(frozen=True)
class AtVersion:
    """Which version is asked for: by number, by instant, or the current one (both None)."""

    number: int | None = None
    as_of: datetime | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether the same question has the same answer for ever."""
        return self.number is not None or self.as_of is not None


@dataclass(frozen=True)
class SeriesQuery:
    """A series: `edges` are the quarters at which its windows begin, and the last one's end."""

    edges: tuple[int, ...]
    kind: WindowKind
    zone: ZoneInfo
    group_by: tuple[str, ...]


@dataclass(frozen=True)
class TopQuery:
    """The most viewed videos of the UTC days [start_on, end_on)."""

    by: str
    start_on: date
    end_on: date


class Parameters:
    """What stands behind the question mark; every parameter at most once, and none that is not known."""

    def __init__(self, pairs: Iterable[tuple[str, str]], allowed: Collection[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name not in allowed:
                raise refused(
                    "parameter_unknown", f"{name[:40]!r} is no parameter here; allowed are {', '.join(sorted(allowed))}"
                )
            if name in self._values:
                raise refused("parameter_repeated", f"{name} appears twice; give it once")
            self._values[name] = value

    def canonical(self) -> str:
        """Return the query without its cursor, for the cursor to be bound to."""
        return urlencode([(name, value) for name, value in sorted(self._values.items()) if name != "cursor"])

    def text(self, name: str, default: str = "") -> str:
        """Return a value, or the default where there is none."""
        return self._values.get(name, default)

    def required(self, name: str, code: str, example: str) -> str:
        """Return a value that has no default."""
        if not self._values.get(name):
            raise refused(code, f"{name} is missing; give it as in {name}={example}")
        return self._values[name]

    def choice(self, name: str, allowed: Collection[str], code: str, default: str) -> str:
        """Return one of the allowed values."""
        value = self._values.get(name, default)
        if value not in allowed:
            raise refused(code, f"{name} is {value[:40]!r}; allowed are {', '.join(allowed)}")
        return value

    def limit(self, default: int, most: int) -> int:
        """Return how many rows a page has."""
        text = self._values.get("limit", str(default))
        if not is_number(text) or not 1 <= int(text) <= most:
            raise refused("limit_invalid", f"limit is {text[:40]!r}; it must be a whole number from 1 to {most}")
        return int(text)

    def at_version(self, now: datetime) -> AtVersion:
        """Return which version is asked for."""
        number, instant = self._values.get("version"), self._values.get("as_of")
        if number is not None and instant is not None:
            raise refused("version_invalid", "version and as_of exclude each other; give one of them")
        if number is not None:
            if not is_number(number) or int(number) < 1:
                raise refused("version_invalid", f"version is {number[:40]!r}; it must be a whole number from 1 on")
            return AtVersion(number=int(number))
        if instant is None:
            return AtVersion()
        try:
            as_of = instant_of(instant)
        except ValueError:
            raise refused(
                "as_of_invalid",
                f"as_of is {instant[:40]!r}; it must be an instant such as 2026-11-01T00:00:00Z, {BOUNDS}",
            ) from None
        if as_of > now:
            raise refused("as_of_invalid", f"as_of is {instant[:40]!r}, which is not over yet; it is {now:%FT%TZ}")
        return AtVersion(as_of=as_of)

    def series(self) -> SeriesQuery:
        """Return the series asked for."""
        zone = zone_of(self._values.get("timezone", "UTC"))
        kind = WindowKind(self.choice("window", tuple(WindowKind), "window_unknown", "day"))
        start = quarter_of("from", self.required("from", "range_invalid", "2026-11-01"), zone)
        end = quarter_of("to", self.required("to", "range_invalid", "2026-12-01"), zone)
        named = [each for each in self._values.get("group_by", "").split(",") if each]
        if unknown := [each for each in named if each not in GROUPS]:
            raise refused("group_unknown", f"group_by names {unknown[0][:40]!r}; allowed are country, device, or both")
        groups = tuple(each for each in GROUPS if each in named)
        return SeriesQuery(tuple(boundaries(start, end, kind, zone)), kind, zone, groups)

    def top(self) -> TopQuery:
        """Return the ranking asked for."""
        by = self.choice("by", ORDERS, "order_unknown", "views")
        start_on, end_on = (
            self._day(name, example) for name, example in (("from", "2026-11-01"), ("to", "2026-12-01"))
        )
        if start_on >= end_on:
            raise refused("range_invalid", "from must be earlier than to")
        if end_on - start_on > timedelta(days=TOP_DAYS_MAX):
            raise refused("range_too_large", f"from and to hold more than {TOP_DAYS_MAX} days; ask for fewer")
        return TopQuery(by, start_on, end_on)

    def _day(self, name: str, example: str) -> date:
        text = self.required(name, "range_invalid", example)
        try:
            return day_of_text(text)
        except ValueError:
            raise refused(
                "range_invalid", f"{name} is {text[:40]!r}; it must be a day such as {example}, {BOUNDS}"
            ) from None
