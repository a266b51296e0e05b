"""The ports of archiving to the speed layer and the broker, and its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class SpeedCut(Protocol):
    """The speed layer's side of a run."""

    def cut(self, partition_count: int) -> Sequence[int | None]:
        """Close the open segment of every partition, atomically; return where the next one starts.

        None means a partition without state. May raise UnavailableError: the run then goes to the highwater and
        the speed layer repairs itself later.
        """

    def prune(self, offset_ends: Sequence[int]) -> int:
        """Drop the segments that start before these offsets; return how many. May raise UnavailableError."""


class LogEnds(Protocol):
    """The broker's view of the topic. Every call may raise UnavailableError."""

    base: int  # the first offset of this generation of the log

    def partition_count(self) -> int:
        """Return how many partitions the topic has."""

    def broker_time(self) -> datetime:
        """Return the broker's clock, taken from a record appended just now."""

    def beginnings(self) -> tuple[int, ...]:
        """Return the first offset that each partition still holds."""

    def highwaters(self) -> tuple[int, ...]:
        """Return the log end of each partition."""

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        """Return, by partition, the append time of the first record at or after an offset; absent if there is none."""


@dataclass(frozen=True)
class Archived:
    """The result of archiving."""

    rows_by_partition: Mapping[int, int]
    gaps_by_partition: Mapping[int, int]
    """Offsets without a record; transactional producers leave them, and they are not a loss."""

    @property
    def row_count(self) -> int:
        """Return how many events were archived."""
        return sum(self.rows_by_partition.values())
