"""Raw = batch = served = billed: compare what must be there with what is found, and name the differences. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from batch_layer.lake.content import Content, Place
from ingestion.contract.settled import BilledVideo

Counts = tuple[int, int]
"""Views and billable views."""
Days = tuple[date, ...]
"""Days in UTC, in ascending order."""
DIFFERENCES_MAX = 100
"""The maximum of stored differences: the first ones are nearest to the cause."""
SERVED = "PostgreSQL"


@dataclass(frozen=True)
class Reconciliation:
    """The result of a comparison."""

    version: int
    days: Days | None
    """Only events that were received, or happened, on these days were compared; None: everything."""
    differences: tuple[str, ...]
    """In the order of the flow, so that the first one is nearest to its cause."""
    compared: Mapping[str, int] = field(default_factory=dict)
    """Kind of things → how many were compared."""

    @property
    def is_equal(self) -> bool:
        """Return whether nothing differs."""
        return not self.differences


@dataclass(frozen=True)
class VideoTotals:
    """The counts of one video by where they were found, in the order of the flow."""

    video_id: str
    by_source: Mapping[str, Counts]


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


def video_differences(
    computed: Iterable[VideoTotals], served: Mapping[str, Counts] | None = None
) -> tuple[int, list[str]]:
    """Compare every video's counts along the flow and with the served ones; an absent video has no views.

    Return how many videos have views, and a sentence for each that differs, by video. `served` is None if the counts
    are not those of the whole video.
    """
    unseen = {video_id: counts for video_id, counts in (served or {}).items() if counts != (0, 0)}
    video_count, found = 0, []
    for totals in computed:
        video_count += 1
        steps = [*totals.by_source.items()]
        if served is not None:
            steps.append((SERVED, unseen.pop(totals.video_id, (0, 0))))
        for (name, counts), (next_name, next_counts) in pairwise(steps):
            if counts != next_counts:
                found.append((totals.video_id, f"{name} has {_text(counts)}, {next_name} has {_text(next_counts)}"))
                break
    found += [(video_id, f"the tables have no views, {SERVED} has {_text(each)}") for video_id, each in unseen.items()]
    return video_count + len(unseen), [f"video {video_id}: {text}" for video_id, text in sorted(found)]


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


def _text(counts: Counts) -> str:
    return f"{counts[0]} views ({counts[1]} billable)"
