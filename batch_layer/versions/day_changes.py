"""The changes of a version to the settled views of one video on one day, as serving's series use them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import NamedTuple

SAMPLES_MAX = 3
_VIEWER_DIGITS = 32


def viewer_key(user_id: str) -> str:
    """Return a viewer as the rows of viewers name one: 32 hex digits of a hash, as many bits as a UUID has."""
    return sha256(user_id.encode()).hexdigest()[:_VIEWER_DIGITS]


@dataclass(frozen=True)
class CellChange:
    """A change within one quarter of an hour, country and device; negative if views were removed."""

    quarter: int
    """0 to 95: quarters of an hour since the start of the UTC day; in every zone in use, hours begin on a quarter."""
    country: str
    device_type: str
    views: int
    billable_views: int
    watched_seconds: int


@dataclass(frozen=True)
class InvalidChange:
    """The change of how many events of a video and event day (UTC) are invalid traffic of one class, in a version."""

    video_id: str
    event_day: str
    """ISO date."""
    invalid_class: str
    events: int
    sample_event_ids: Sequence[str]
    """Ids of at most `SAMPLES_MAX` events that have become invalid."""


class TallyRow(NamedTuple):
    """How many events of an event day (UTC) have a verdict; all rows of a version add up to its events received."""

    event_day: date
    verdict: str
    reason: str
    """Code of the first reason of rejected events and invalid traffic; empty for others."""
    events: int


@dataclass(frozen=True)
class ViewerChange:
    """The change of the viewers of a video on an event day (UTC), in a version."""

    video_id: str
    event_day: str
    """ISO date."""
    viewers: int
    """More viewers than before; negative if fewer."""
    came: Sequence[str]
    """Those who are viewers now and were not, each as 32 hex digits."""
    went: Sequence[str]


@dataclass(frozen=True)
class DayChange:
    """The changes of a video on an event day (UTC) in a version; the first three sums are those of the cells."""

    video_id: str
    event_day: str
    """ISO date."""
    views: int
    billable_views: int
    watched_seconds: int
    cells: Sequence[CellChange]
    """Those that changed; none if only the completion did."""
    length_known_views: int = 0
    """Views of which it is known how much of the video's length they lasted."""
    reached_25: int = 0
    """Of them, those of 25 % or more."""
    reached_50: int = 0
    reached_75: int = 0
    reached_100: int = 0
