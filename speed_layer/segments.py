"""The records that a partition keeps, and the answers to reading and changing it.

A *segment* is the provisional count from one offset (its name) to the next segment's start. A published version covers
`[0, offset_end)`, so the segments with start >= `offset_end` are what it lacks; one of them starts exactly there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PartitionReading:
    """The contents of one partition from `offset_end` on."""

    has_segment: bool
    """Whether a segment starts exactly at the requested `offset_end`."""
    position: int
    """Next offset to apply."""
    segment: int
    """Start of the open segment."""
    replay_until: int | None
    appended_at_ms: int | None
    """Broker's append time of the newest applied event; None before the first one."""
    applied_at_ms: int | None
    covered_ago_ms: int | None
    """How long ago, by the store's clock, the log was known to be counted completely; None: unknown."""
    log: str
    """The generation of the log that was counted, as `LogGeneration.to_text` writes it; empty: not noted."""
    views: tuple[int, ...]
    """Provisional views of each requested video id, in the order of the request."""
    is_doubtful: tuple[bool, ...]
    """For each video id, whether views of it may have been set apart, so that the number may be too small."""

    @property
    def is_complete(self) -> bool:
        """Return whether the counts are complete from `offset_end` to `position`, and a replay has caught up."""
        return self.has_segment and (self.replay_until is None or self.position >= self.replay_until)


@dataclass(frozen=True)
class ProvisionalViews:
    """The views that the speed layer adds to a published version, summed over partitions."""

    views: Mapping[str, int]
    """Every requested id; 0 for an id without counts."""
    is_complete: bool
    """False: a partition is missing, under repair or unknown, so the numbers may be too small."""
    partitions: tuple[PartitionReading | None, ...]
    """By partition; None if unknown."""
    doubtful: frozenset[str] = frozenset()
    """The requested ids whose number may be too small: videos outside the catalogue, when there were too many."""

    @classmethod
    def summed(cls, video_ids: Sequence[str], partitions: Sequence[PartitionReading | None]) -> "ProvisionalViews":
        """Add up the partitions' counts: a video may have counts in several, depending on the producer."""
        known = [partition.views for partition in partitions if partition is not None]
        totals = [sum(column) for column in zip(*known, strict=True)] if known else [0] * len(video_ids)
        is_complete = all(partition is not None and partition.is_complete for partition in partitions)
        doubts = [partition.is_doubtful for partition in partitions if partition is not None]
        doubtful = frozenset(video_ids[index] for each in doubts for index, doubt in enumerate(each) if doubt)
        return cls(dict(zip(video_ids, totals, strict=True)), is_complete, tuple(partitions), doubtful)

    def is_current(self, within_ms: int) -> bool:
        """Return whether everything that was on the log `within_ms` ago is known to be counted, in every partition."""
        ages = [None if partition is None else partition.covered_ago_ms for partition in self.partitions]
        return all(age is not None and age <= within_ms for age in ages)

    @property
    def appended_at_ms(self) -> int | None:
        """Return the append time of the newest event that is counted in any partition."""
        return max((each.appended_at_ms or 0 for each in self.partitions if each is not None), default=0) or None


@dataclass(frozen=True)
class Applied:
    """A chunk was applied: its new events are counted and the position is after it."""

    counted: int
    duplicates: int
    """Candidates whose id was known from an earlier chunk."""
    apart: int = 0
    """Events of videos that were set apart, since the segment holds the maximum of unknown videos."""
    invalid: int = 0
    """New events that are invalid traffic."""
    is_warm_up: bool = False
    """Whether the chunk lay before the open segment: nothing was counted, only the ids are known now."""


@dataclass(frozen=True)
class Moved:
    """A chunk was not applied because the stored position is another one; nothing was changed.

    `position` is None if the partition has no state.
    """

    position: int | None
    segment: int | None
