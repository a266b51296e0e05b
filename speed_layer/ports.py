"""The ports of the consume loop; each implementation is in a file named after its technology."""

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
    """How far the current published version reaches."""

    offsets: OffsetVector
    watermarks: tuple[datetime, ...]
    """Per partition: everything at or after `offset_end` was appended at this instant or later."""
    event_contracts: EventContracts = BEFORE_VERSIONS
    """The version of the event contract that it was counted with."""
    generation: LogGeneration | None = None
    """The log on record as the one to count; None before the first one."""

    @property
    def contracts_from_here(self) -> EventContracts:
        """The version of the event contract to read everything with, as the next batch run does."""
        return self.event_contracts.followed_by_newest(self.offsets)

    def end_of(self, partition: int) -> int:
        """Return `offset_end` of a partition; 0 for one that was added to the topic after the version."""
        return self.offsets.ends[partition] if partition < len(self.offsets.ends) else 0


class PublishedOffsets(Protocol):
    """Knows the current published version."""

    def current(self) -> Published | None:
        """Return the current version's reach; None when nothing was published yet.

        While the source does not answer, returns its last answer.

        Raises:
            UnavailableError: the source never answered.
        """


@dataclass(frozen=True)
class LogRange:
    """The offsets `[start, highwater)` of a partition that the broker has."""

    start: int
    highwater: int


class Log(Protocol):
    """Consumes the partitions of the topic that are assigned to this process. Not thread-safe.

    Every call may raise UnavailableError, and OffsetsGoneError when a position is not in the log (any more).
    """

    def poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        """Return the next messages by partition, never an empty list; wait up to `timeout_seconds` for the first one.

        Newly assigned partitions deliver nothing before `begin`.
        """

    def log_id(self) -> str:
        """Return the id of the log that the broker has now under the topic's name."""

    def count_from(self, base: int) -> None:
        """Make `base` the offset of the log's first message, in all calls and answers from now on."""

    def assignment(self) -> tuple[int, frozenset[int]]:
        """Return a number that grows with every rebalance (0 before the first), and the assigned partitions."""

    def begin(self, partition: int, position: int) -> None:
        """Deliver a partition's messages from `position` on."""

    def hold(self, partitions: Collection[int]) -> None:
        """Stop delivering these partitions until `begin`."""

    def ranges(self, partitions: Collection[int]) -> Mapping[int, LogRange]:
        """Return the range of offsets that the broker has of each partition."""

    def first_offset_since(self, partition: int, append_time_ms: int) -> int | None:
        """Return the first offset appended at that time or later; None if there is none."""

    def next_offset(self, partition: int) -> int:
        """Return the offset after everything delivered or skipped; offsets without messages are skipped."""

    def close(self) -> None:
        """Leave the group."""


class SegmentStore(Protocol):
    """Keeps positions, counts and seen ids. Every call may raise UnavailableError.

    Guarantee: `apply` changes either everything of a chunk or nothing, and nothing if the position differs. `reset`
    changes nothing if the position or the open segment differs.
    """

    def apply(self, chunks: Sequence[Chunk], applied_at_ms: int) -> list[Applied | Moved]:
        """Apply the chunks in order, in one round trip; return one outcome for each."""

    def look(self, offset_ends: Mapping[int, int]) -> dict[int, PartitionReading | None]:
        """Read the state of some partitions, without counts, relative to their `offset_end`."""

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
        """Forget the partition and restart it with one empty segment, reading a log from `position`.

        Return False and change nothing if its state is no longer the one that was read (None: no state).
        """

    def now_ms(self) -> int:
        """Return the store's time, which heartbeats are measured by."""

    def beat(self, log_ends: Mapping[int, int], asked_at_ms: int, log: str) -> None:
        """Note that the partitions of a log ended there when the store's time was `asked_at_ms` or later."""


class DeadLetters(Protocol):
    """Takes rejected messages."""

    def send(self, partition_rejections: Iterable[tuple[int, Rejection]]) -> None:
        """Return after every letter is acknowledged by all in-sync replicas; raise UnavailableError if not."""


class SpeedObserver(Protocol):
    """Observes the loop, for metrics and traces."""

    def polled(self) -> None:
        """Note that messages have come, which are judged and applied next."""

    def chunk_applied(self, chunk: Chunk, applied: Applied, applied_at_ms: int) -> None:
        """Note that a chunk of this process was applied."""

    def lag_known(self, partition: int, lag: int) -> None:
        """Note how many offsets lie between the stored position and the highwater."""

    def partitions_gone(self, partitions: Collection[int]) -> None:
        """Note that these partitions now belong to another process."""

    def repaired(self, partition: int) -> None:
        """Note that a partition was restarted."""

    def waiting(self) -> None:
        """Note that a server did not answer; the loop waits and retries."""


class Replays(Protocol):
    """Remembers which messages were sent again. Raises UnavailableError when the store does not answer."""

    def log_base(self) -> int:
        """Return the first offset of the log's generation that is on record."""

    def is_replayed(self, partition: int, offset: int) -> bool:
        """Return whether the message at a place of the log was sent again before."""

    def remember(self, partition: int, offset: int, actor: str) -> None:
        """Store who sent the message again; a place that is already stored is not changed."""
