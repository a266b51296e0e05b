"""Offset vectors: how far a count reaches. Boundaries are offsets, never clocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LogPlace = tuple[int, int]
"""The place of a record in a topic: (partition, offset)."""


@dataclass(frozen=True)
class OffsetVector:
    """For every partition of a topic the first offset that is not covered; index = partition number.

    A count that reaches this vector covers `[0, ends[p])` of partition p. Kafka's offsets have gaps, so the
    numbers bound positions and do not count events.
    """

    topic: str
    ends: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.ends or any(end < 0 for end in self.ends):
            raise ValueError(f"an offset vector needs one offset >= 0 for every partition, got {self.ends}")

    @classmethod
    def zero(cls, topic: str, partition_count: int) -> "OffsetVector":
        """Return the vector that covers nothing."""
        return cls(topic, (0,) * partition_count)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "OffsetVector":
        """Parse the output of `to_json`."""
        return cls(document["topic"], tuple(document["ends"]))

    def to_json(self) -> dict[str, Any]:
        """Return the vector as a JSON object: `{"topic": …, "ends": […]}`."""
        return {"topic": self.topic, "ends": list(self.ends)}

    def holds(self, place: LogPlace) -> bool:
        """Return whether the vector covers a place; a partition that it does not know has none."""
        partition, offset = place
        return partition < len(self.ends) and offset < self.ends[partition]

    def covers(self, other: "OffsetVector") -> bool:
        """Return whether this vector reaches at least as far as `other` in every partition."""
        self._check_comparable(other)
        return all(end >= least for end, least in zip(self.ends, other.ends, strict=True))

    def ranges_since(self, start: "OffsetVector") -> list["OffsetRange"]:
        """Return the non-empty ranges between `start` and this vector.

        Raises:
            ValueError: this vector ends before `start` in a partition; a count never goes back.
        """
        self._check_comparable(start)
        if not self.covers(start):
            raise ValueError(f"offsets go back: from {start.ends} to {self.ends}")
        pairs = enumerate(zip(start.ends, self.ends, strict=True))
        return [OffsetRange(self.topic, index, begin, end) for index, (begin, end) in pairs if begin < end]

    def _check_comparable(self, other: "OffsetVector") -> None:
        if self.topic != other.topic or len(self.ends) != len(other.ends):
            raise ValueError(
                f"offset vectors of {self.topic} ({len(self.ends)} partitions) and {other.topic} "
                f"({len(other.ends)} partitions) cannot be compared"
            )


@dataclass(frozen=True)
class OffsetRange:
    """The offsets `[start, end)` of one partition."""

    topic: str
    partition: int
    start: int
    end: int


def total_offsets(ranges: Sequence[OffsetRange]) -> int:
    """Return the number of offsets in the ranges: the most events they can hold."""
    return sum(each.end - each.start for each in ranges)


OFFSETS_PER_GENERATION = 1 << 40
"""The most offsets of a generation of the log in each partition: 30 years of a billion events a day."""


@dataclass(frozen=True)
class LogGeneration:
    """The log behind a topic's name. A topic that was created again has another id and is the next generation.

    Offsets are Kafka's plus `base`, in every layer and table, so that a place always names the same event.
    """

    number: int
    log_id: str
    """Kafka's id of the topic."""

    @property
    def base(self) -> int:
        """The first offset of this generation in every partition."""
        return self.number * OFFSETS_PER_GENERATION

    def to_text(self) -> str:
        """Return the generation as one word: `0:q83v…`."""
        return f"{self.number}:{self.log_id}"

    @classmethod
    def from_text(cls, text: str) -> "LogGeneration":
        """Parse the output of `to_text`."""
        number, _, log_id = text.partition(":")
        return cls(int(number), log_id)


def other_log(topic: str, known: LogGeneration, log_id: str) -> str:
    """Return the sentence for a topic whose log is not the one that was counted."""
    return (
        f"topic {topic} is another log than the one that was counted: its id is {log_id}, and {known.log_id} is on "
        "record; bring that one back, or go on with this one by ./viewledger topics new-generation"
    )
