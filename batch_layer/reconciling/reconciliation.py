"""Raw = batch = served = billed: compare what must be there with what is found, and name the differences. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from batch_layer.lake.content import Content, Place
from ingestion.contract.offsets import OffsetRange, OffsetVector
from ingestion.contract.settled import BilledVideo
from ingestion.contract.traffic_groups import TrafficGroup
from ingestion.contract.version import PublishedVersion

Days = tuple[date, ...]
"""Days in UTC, in ascending order."""
DIFFERENCES_MAX = 100
"""The maximum of stored differences: the first ones are nearest to the cause."""
SERVED = "PostgreSQL"


class VideoMeasures(NamedTuple):
    """The compared measures of a video."""

    views: int
    billable_views: int
    watched_seconds: int


@dataclass(frozen=True)
class Reconciliation:
    """The result of a comparison."""

    version: int
    days: Days | None
    """Only events that were received, or happened, on these days were compared; None: everything, or for a run what
    its versions changed."""
    differences: tuple[str, ...]
    """In the order of the flow, so that the first one is nearest to its cause."""
    compared: Mapping[str, int] = field(default_factory=dict)
    """Kind of things → how many were compared."""

    @property
    def is_equal(self) -> bool:
        """Return whether nothing differs."""
        return not self.differences


@dataclass(frozen=True)
class VersionChange:
    """The versions after `former` up to `version`; `former` is None if all versions are meant."""

    former: PublishedVersion | None
    version: PublishedVersion

    @property
    def after(self) -> int:
        """Return the number of the former version; 0 without one."""
        return self.former.version if self.former else 0

    @property
    def ranges(self) -> list[OffsetRange]:
        """Return the offsets that these versions are the first to cover."""
        end = self.version.offsets
        starts = self.former.offsets.ends if self.former else ()
        # a topic that has grown has partitions that the former version did not know
        start = OffsetVector(end.topic, starts + (0,) * (len(end.ends) - len(starts)))
        return end.ranges_since(start)


@dataclass(frozen=True)
class VideoTotals:
    """The counts of one video, of all days or of one, by where they were found, in the order of the flow."""

    video_id: str
    by_source: Mapping[str, VideoMeasures]
    day: date | None = None


def place_differences(
    expected_name: str, expected: Mapping[Place, Content], found_name: str, found: Mapping[Place, Content]
) -> list[str]:
    """Return a sentence for every place whose content differs, by partition and hour; an absent place is empty."""
    nothing = Content()
    return [
        f"{place}: {expected_name} has {expected.get(place, nothing)}, {found_name} has {found.get(place, nothing)}"
        for place in sorted({*expected, *found})
        if expected.get(place, nothing) != found.get(place, nothing)
    ]


def tally_differences(tally: Mapping[tuple[Place, str], int], events: Mapping[tuple[Place, str], int]) -> list[str]:
    """Return a sentence for every partition, event hour and verdict whose tally differs from the events."""
    return [
        f"{place}: tally has {tally.get((place, verdict), 0)} {verdict} events, events has "
        f"{events.get((place, verdict), 0)}"
        for place, verdict in sorted({*tally, *events})
        if tally.get((place, verdict), 0) != events.get((place, verdict), 0)
    ]


def gain_differences(tally: Mapping[int, int], archived: Mapping[int, int]) -> list[str]:
    """Return a sentence for every partition whose tally has gained another number of events than were archived."""
    return [
        f"partition {partition}: tally has gained {tally.get(partition, 0)} events, and {archived.get(partition, 0)} "
        "were archived"
        for partition in sorted({*tally, *archived})
        if tally.get(partition, 0) != archived.get(partition, 0)
    ]


def video_differences(found: Iterable[VideoTotals]) -> list[str]:
    """Return a sentence for every video, by video and day, whose counts differ from one source to the next."""
    sentences = []
    for totals in sorted(found, key=lambda each: (each.video_id, each.day or date.min)):
        of_day = f" on {totals.day}" if totals.day else ""
        for (name, counts), (next_name, next_counts) in pairwise(totals.by_source.items()):
            if counts != next_counts:
                sentences.append(
                    f"video {totals.video_id}{of_day}: {name} has {_text(counts)}, {next_name} has {_text(next_counts)}"
                )
                break
    return sentences


def billed_differences(
    billed: Iterable[BilledVideo], billable: Mapping[tuple[int, date, date], Mapping[str, int]]
) -> list[str]:
    """Compare the billed views with the billable events of the version and days that they were billed from.

    `billable`: (version, start, end) → video → billable events.
    """
    found = []
    for each in sorted(billed, key=lambda each: (each.version, each.start_on, each.video_id or "", each.views)):
        events = billable[each.version, each.start_on, each.end_on]
        counted = sum(events.values()) if each.video_id is None else events.get(each.video_id, 0)
        if counted < each.views or (counted > each.views and not each.may_be_fewer):
            who = "all videos" if each.video_id is None else f"video {each.video_id}"
            found.append(
                f"{who} of {each.start_on}/{each.end_on} billed from version {each.version}: events has {counted} "
                f"billable views, the ledger has {each.views}"
            )
    return found


def _text(counts: VideoMeasures) -> str:
    return f"{counts.views} views ({counts.billable_views} billable, {counts.watched_seconds} seconds watched)"


def noted_differences(version: int, noted: Collection[TrafficGroup], there: Collection[TrafficGroup]) -> list[str]:
    """Return a sentence for each group under review that is noted or is there, and not both.

    A group that is there and not noted never expires; one that is noted without being there expires too early.
    """
    return [
        f"group {each.name} is under review in version {version}, and not noted as waiting"
        if each in there
        else f"group {each.name} is noted as waiting, and version {version} has no such group"
        for each in sorted({*noted} ^ {*there})
    ]
