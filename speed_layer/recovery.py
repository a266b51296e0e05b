"""What to do with a partition whose stored state may be missing or may not fit the published version. Pure.

The published version covers `[0, offset_end)`. The served count is right only if a segment starts exactly at
`offset_end`; if none does (the store was lost, or was down at the cut), the partition is begun anew there.
"""

from dataclasses import dataclass

from speed_layer.chunk import EPOCH
from speed_layer.errors import OffsetsGoneError
from speed_layer.ports import LogRange, Published
from speed_layer.segments import PartitionReading


@dataclass(frozen=True)
class Horizon:
    """For how long a repeated event is surely recognised, in the broker's time.

    Seen ids are kept in generations of half the horizon; an id is looked for in its generation and the two before.
    """

    length_ms: int

    @property
    def generation_ms(self) -> int:
        """Length of a generation."""
        return self.length_ms // 2


@dataclass(frozen=True)
class Resume:
    """Go on from the stored position."""

    position: int
    segment: int


@dataclass(frozen=True)
class BeginAnew:
    """Forget the partition and count from `segment` on."""

    segment: int
    seen_since_ms: int
    """Events appended before `segment` but not before this instant make their ids known, uncounted."""
    instead_of: PartitionReading | None
    """The state that does not fit; None where there is none."""


@dataclass(frozen=True)
class Wait:
    """There is no state, and nobody knows yet from where to count."""


def plan_recovery(
    partition: int, reading: PartitionReading | None, published: Published | None, *, horizon: Horizon
) -> Resume | BeginAnew:
    """Returns what to do, knowing what is published (None: nothing yet). `reading` is as seen from its `offset_end`."""
    if reading is not None and reading.has_segment:
        return Resume(reading.position, reading.segment)
    if published is None or published.end_of(partition) == 0:
        return BeginAnew(0, 0, reading)
    watermark_ms = (published.watermarks[partition] - EPOCH).total_seconds() * 1000
    # From the start of a generation on, so that afterwards exactly the same ids are known as without the loss.
    generation = int(watermark_ms) // horizon.generation_ms
    return BeginAnew(published.end_of(partition), (generation - 2) * horizon.generation_ms, reading)


def plan_uninformed(reading: PartitionReading | None) -> Resume | Wait:
    """Returns what to do while nobody knows what is published: never begin anew."""
    return Wait() if reading is None else Resume(reading.position, reading.segment)


def check_readable(partition: int, position: int, log: LogRange) -> None:
    """Raises OffsetsGoneError unless the broker has everything from `position` on."""
    if position < log.start:
        raise OffsetsGoneError(
            f"partition {partition} must be read from offset {position}, but the log begins at {log.start}: retention "
            "removed events that were not counted; publish a batch version that covers them, or lengthen retention"
        )
    if position > log.highwater:
        raise OffsetsGoneError(
            f"partition {partition} must be read from offset {position}, but the log ends at {log.highwater}: it was "
            "truncated, or this is another log than the one that was counted"
        )
