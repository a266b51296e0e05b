"""What is kept per partition and what reading or changing it answers. Records only.

A *segment* is the provisional count from one offset (its name) to the next segment's start. A published version covers
`[0, offset_end)`, so the segments with start >= `offset_end` are what it lacks; one of them starts exactly there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PartitionReading:
    """What one partition holds from `offset_end` on."""

    has_segment: bool
    """Whether a segment starts exactly at the `offset_end` that was asked for."""
    position: int
    """Next offset to apply."""
    segment: int
    """Start of the open segment."""
    replay_until: int | None
    appended_at_ms: int | None
    """Broker's append time of the newest applied event; None before the first one."""
    applied_at_ms: int | None
    covered_ago_ms: int | None
    """How long ago, by the store's clock, everything that was on the log then is known to be counted; None: unknown."""
    log: str
    """The generation of the log that was counted, as `LogGeneration.to_text` writes it; empty: nobody noted it."""
    views: tuple[int, ...]
    """Provisional views per video id asked for, in the order of asking."""
    is_doubtful: tuple[bool, ...]
    """Per video id, whether views of it may have been set apart, so that the number may be too small."""

    @property
    def is_complete(self) -> bool:
        """Whether the counts are everything from `offset_end` up to `position`, and a replay has caught up."""
        return self.has_segment and (self.replay_until is None or self.position >= self.replay_until)


@dataclass(frozen=True)
class ProvisionalViews:
    """What the speed layer adds to a published version, summed over partitions."""

    views: Mapping[str, int]
    """Every id asked for, with 0 where nothing was counted."""
    is_complete: bool
    """False: some partition is missing, being repaired or unknown, so the numbers may be too small."""
    partitions: tuple[PartitionReading | None, ...]
    """Per partition; None where nothing is known."""
    doubtful: frozenset[str] = frozenset()
    """The ids asked for whose number may be too small: videos outside of the catalogue, when there were too many."""

    @classmethod
    def summed(cls, video_ids: Sequence[str], partitions: Sequence[PartitionReading | None]) -> "ProvisionalViews":
        """Add up the partitions' counts: one video may have counts in several, whatever a producer's partitioner."""
        known = [partition.views for partition in partitions if partition is not None]
        totals = [sum(column) for column in zip(*known, strict=True)] if known else [0] * len(video_ids)
        is_complete = all(partition is not None and partition.is_complete for partition in partitions)
        doubts = [partition.is_doubtful for partition in partitions if partition is not None]
        doubtful = frozenset(video_ids[index] for each in doubts for index, doubt in enumerate(each) if doubt)
        return cls(dict(zip(video_ids, totals, strict=True)), is_complete, tuple(partitions), doubtful)

    def is_current(self, within_ms: int) -> bool:
        """Whether every partition is known to hold everything that was on the log so long ago."""
        ages = [None if partition is None else partition.covered_ago_ms for partition in self.partitions]
        return all(age is not None and age <= within_ms for age in ages)

    @property
    def appended_at_ms(self) -> int | None:
        """Append time of the newest event that is counted anywhere."""
        return max((each.appended_at_ms or 0 for each in self.partitions if each is not None), default=0) or None


@dataclass(frozen=True)
class Applied:
    """A chunk was applied: its new events are counted and the position stands behind it."""

    counted: int
    duplicates: int
    """Candidates whose id was known from an earlier chunk."""
    apart: int = 0
    """Events of videos that were set apart, since the segment holds as many unknown ones as it may."""
    is_warm_up: bool = False
    """Whether the chunk lay before the open segment: nothing was counted, only the ids are known now."""


@dataclass(frozen=True)
class Moved:
    """A chunk was not applied, because the stored position is another one; nothing was changed.

    `position` is None where the partition has no state at all.
    """

    position: int | None
    segment: int | None
