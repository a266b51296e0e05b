"""What the consume loop needs from outside, each as a port; a concrete one sits in a file named by its technology."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ingestion.contract.event_contracts import BEFORE_VERSIONS, EventContracts
from ingestion.contract.offsets import LogGeneration, OffsetVector
from speed_layer.chunk import Chunk, LogRecord, Rejection
from speed_layer.segments import Applied, Moved, PartitionReading


@dataclass(frozen=True)
class Published:
    """How far the current published version goes."""

    offsets: OffsetVector
    watermarks: tuple[datetime, ...]
    """Per partition: everything at or after `offset_end` was appended at this instant or later."""
    event_contracts: EventContracts = BEFORE_VERSIONS
    """By which version of the event contract it was read."""
    generation: LogGeneration | None = None
    """The log on record as the one to count; None: none is yet."""

    @property
    def contracts_from_here(self) -> EventContracts:
        """By which version of the event contract everything is to be read, as the next batch run does."""
        return self.event_contracts.followed_by_newest(self.offsets)

    def end_of(self, partition: int) -> int:
        """`offset_end` of a partition; 0 for one that was added to the topic after the version."""
        return self.offsets.ends[partition] if partition < len(self.offsets.ends) else 0


class PublishedOffsets(Protocol):
    """Knows the current published version."""

    def current(self) -> Published | None:
        """Return it; None when nothing was published yet.

        A place that stopped answering is covered up by what it said last.

        Raises:
            UnavailableError: it never answered, so nobody knows.
        """


@dataclass(frozen=True)
class LogRange:
    """The offsets `[start, highwater)` of a partition that the broker has."""

    start: int
    highwater: int


class Log(Protocol):
    """The partitions of the topic that are assigned to this process. Not for several threads.

    Every call may raise UnavailableError, and OffsetsGoneError when a position is not in the log (any more).
    """

    def poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        """Return the next messages by partition, never an empty list; waits for the first one at most so long.

        Newly assigned partitions give nothing before `begin`.
        """

    def log_id(self) -> str:
        """Return the id of the log that the broker has now under the topic's name."""

    def count_from(self, base: int) -> None:
        """Make `base` the offset of the log's first message, in all calls and answers from now on."""

    def assignment(self) -> tuple[int, frozenset[int]]:
        """Return a number that grows with every rebalance (0 before the first), and the assigned partitions."""

    def begin(self, partition: int, position: int) -> None:
        """Delivers a partition's messages from `position` on."""

    def hold(self, partitions: Collection[int]) -> None:
        """Delivers nothing of these partitions until `begin`."""

    def ranges(self, partitions: Collection[int]) -> Mapping[int, LogRange]:
        """Return what the broker has now of each partition."""

    def first_offset_since(self, partition: int, append_time_ms: int) -> int | None:
        """Return the first offset appended at that time or later; None if there is none."""

    def next_offset(self, partition: int) -> int:
        """Return the offset after everything delivered or skipped; offsets without messages are skipped."""

    def close(self) -> None:
        """Leaves the group."""


class SegmentStore(Protocol):
    """Keeps positions, counts and seen ids. Every call may raise UnavailableError.

    Guarantee: `apply` changes either everything of a chunk or nothing, and nothing if the position differs. `reset`
    changes nothing if the position or the open segment differs.
    """

    def apply(self, chunks: Sequence[Chunk], applied_at_ms: int) -> list[Applied | Moved]:
        """Apply the chunks in order, in one round trip; answers for each."""

    def look(self, offset_ends: Mapping[int, int]) -> dict[int, PartitionReading | None]:
        """Read the state of some partitions, without counts, as seen from their `offset_end`."""

    def reset(
        self,
        partition: int,
        *,
        position: int,
        segment: int,
        replay_until: int,
        log: str,
        instead_of: PartitionReading | None,
    ) -> bool:
        """Forgets the partition and begins anew with one empty segment, reading a log from `position`.

        Returns False, with nothing changed, when its state is not the one that was read (None: no state) any more.
        """

    def now_ms(self) -> int:
        """Return the store's time, by which signs of life are read."""

    def beat(self, log_ends: Mapping[int, int], asked_at_ms: int, log: str) -> None:
        """Note that the partitions of a log ended there when the store's time was `asked_at_ms` or later."""


class DeadLetters(Protocol):
    """Takes what was rejected."""

    def send(self, partition_rejections: Iterable[tuple[int, Rejection]]) -> None:
        """Return after every letter is acknowledged by all in-sync replicas; raises UnavailableError if not."""


class SpeedObserver(Protocol):
    """Is told what happens; for metrics."""

    def chunk_applied(self, chunk: Chunk, applied: Applied, applied_at_ms: int) -> None:
        """Note that a chunk of this process was applied."""

    def lag_known(self, partition: int, lag: int) -> None:
        """How many offsets lie between the stored position and the highwater."""

    def partitions_gone(self, partitions: Collection[int]) -> None:
        """Note that these partitions belong to another process now."""

    def repaired(self, partition: int) -> None:
        """Note that a partition was started again."""

    def waiting(self) -> None:
        """Something did not answer; the loop waits and tries again."""


class Replays(Protocol):
    """Remembers which messages were sent again. Raises UnavailableError when it does not answer."""

    def log_base(self) -> int:
        """Return the first offset of the log's generation that is on record."""

    def is_replayed(self, partition: int, offset: int) -> bool:
        """Return whether the message at a place of the log was sent again before."""

    def remember(self, partition: int, offset: int, actor: str) -> None:
        """Store who sent it again; a place that is stored already stays as it is."""
