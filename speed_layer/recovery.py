"""Decide what to do with a partition whose stored state is missing or does not fit the published version. Pure.

The published version covers `[0, offset_end)`. The served count is right only if a segment starts exactly at
`offset_end`; if none does (the store was lost, or was down at the cut), the partition is restarted there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from ingestion.contract.offsets import LogGeneration, other_log
from speed_layer.chunk import EPOCH
from speed_layer.errors import OffsetsGoneError, OtherLogError
from speed_layer.ports import LogRange, Published
from speed_layer.segments import PartitionReading


@dataclass(frozen=True)
class Horizon:
    """How long a repeated event is guaranteed to be recognised, in the broker's time.

    Seen ids are kept in generations of half the horizon; an id is looked up in its generation and the two before.
    """

    length_ms: int

    @property
    def generation_ms(self) -> int:
        """Return the length of a generation."""
        return self.length_ms // 2


@dataclass(frozen=True)
class Resume:
    """Continue from the stored position."""

    position: int
    segment: int


@dataclass(frozen=True)
class Restart:
    """Forget the partition and count from `segment` on."""

    segment: int
    seen_since_ms: int
    """Events appended from this instant on and before `segment` only make their ids known, uncounted."""
    instead_of: PartitionReading | None
    """The state that does not fit; None without a state."""


@dataclass(frozen=True)
class Wait:
    """There is no state, and it is not known yet where to count from."""


def generation_counted(
    topic: str, log_id: str, published: Published | None, readings: Iterable[PartitionReading | None]
) -> LogGeneration:
    """Return the generation of the log that the broker has now. `published` None: nothing is on record.

    Raises:
        OtherLogError: it is another log than the one on record, or, where none is, than the one the store counted.
    """
    if published is not None and published.generation is not None:
        if published.generation.log_id != log_id:
            raise OtherLogError(other_log(topic, published.generation, log_id))
        return published.generation
    logs = {reading.log for reading in readings if reading is not None and reading.log}
    counted = sorted(map(LogGeneration.from_text, logs), key=attrgetter("number"))
    same = [each for each in counted if each.log_id == log_id]
    if counted and not same:
        raise OtherLogError(other_log(topic, counted[-1], log_id))
    return same[-1] if same else LogGeneration(0, log_id)


def _is_of(reading: PartitionReading, generation: LogGeneration) -> bool:
    """Return whether a state counts this log. States of earlier releases have no name: they are of the first one."""
    return reading.log == generation.to_text() or not (reading.log or generation.number)


def plan_recovery(
    partition: int,
    reading: PartitionReading | None,
    published: Published | None,
    *,
    horizon: Horizon,
    generation: LogGeneration,
) -> Resume | Restart:
    """Return what to do, given the published reach (None: nothing yet). `reading` is relative to its `offset_end`.

    Counts of another log than `generation` are dropped: only its published part remains.
    """
    if reading is not None and reading.has_segment and _is_of(reading, generation):
        return Resume(reading.position, reading.segment)
    if published is None or published.end_of(partition) == 0:
        return Restart(0, 0, reading)
    watermark_ms = (published.watermarks[partition] - EPOCH).total_seconds() * 1000
    # From the start of a generation, so that exactly the same ids are known afterwards as without the loss.
    of_ids = int(watermark_ms) // horizon.generation_ms
    return Restart(published.end_of(partition), (of_ids - 2) * horizon.generation_ms, reading)


def plan_uninformed(reading: PartitionReading | None, generation: LogGeneration) -> Resume | Wait:
    """Return what to do while the published version is unknown: never restart."""
    return Wait() if reading is None or not _is_of(reading, generation) else Resume(reading.position, reading.segment)


def check_readable(partition: int, position: int, log: LogRange) -> None:
    """Raise OffsetsGoneError unless the broker has everything from `position` on."""
    if position < log.start:
        raise OffsetsGoneError(
            f"partition {partition} must be read from offset {position}, but the log begins at {log.start}: retention "
            "removed events that were not counted; publish a batch version that covers them, or lengthen retention"
        )
    if position > log.highwater:
        raise OffsetsGoneError(
            f"partition {partition} must be read from offset {position}, but the log ends at {log.highwater}: it was "
            "truncated or restored from a copy; bring back what is missing, or go on with what there is by "
            "./viewledger topics new-generation"
        )
