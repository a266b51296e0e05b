"""What a person looks at before they decide on a group under review: its events beside what is usual. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

SECONDS_FROM = (0, 5, 10, 20, 30, 35, 45, 60, 120, 300, 600, 1_800)
"""Where the classes of watched seconds begin; the last one has no end."""
PARTS = 10
"""A video's length in parts, to say in which of them its viewer left."""
UNKNOWN = ""
"""The value of what an event, or the catalogue, does not say."""


class Aspect(StrEnum):
    """What the events are counted by."""

    HOUR = "hour"
    """UTC hour of the view: `00` to `23`."""
    NETWORK_KIND = "network_kind"
    """As the collector wrote it, without the version of the list: `relay`, `vpn`, `data_centre`."""
    DEVICE = "device"
    COUNTRY = "country"
    SECONDS = "seconds"
    """The first second of a class of `SECONDS_FROM`."""
    ENDING = "ending"
    """The tenth of the video in which the view ended: `0` to `9`, and `10` for its whole length."""


class EvidenceCount(NamedTuple):
    """The counted events of a day that have one value of an aspect."""

    value: str
    of_group: int
    of_videos: int
    """Those of the group's videos that are not in the group."""
    of_all: int
    """Those of all videos that are not in the group."""


class SampleEvent(NamedTuple):
    """One event of a group. Texts are empty where the event does not say."""

    event_id: str
    happened_at: datetime
    video_id: str
    country: str
    device: str
    watched_seconds: int
    network_kind: str


@dataclass(frozen=True)
class GroupEvidence:
    """The events of a group by each aspect, and some of them."""

    counts: Mapping[Aspect, tuple[EvidenceCount, ...]]
    """Ascending by value; values that no event has are absent."""
    samples: tuple[SampleEvent, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form that is kept."""
        return {
            "counts": {aspect.value: [list(each) for each in counts] for aspect, counts in self.counts.items()},
            "samples": [[*each[:1], each.happened_at.isoformat(), *each[2:]] for each in self.samples],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "GroupEvidence":
        """Return what `to_json` wrote."""
        counts = {
            Aspect(name): tuple(EvidenceCount(*each) for each in rows) for name, rows in document["counts"].items()
        }
        samples = (SampleEvent(row[0], datetime.fromisoformat(row[1]), *row[2:]) for row in document["samples"])
        return cls(counts, tuple(samples))
