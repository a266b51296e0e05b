"""Versions of the event contract, and the offsets from which each is in force.

A change that gives an event another outcome is a new version: messages that were counted by an older one keep it
permanently, so that a rebuild gives what was published. A log that was never counted is read by the newest version.

1: the rules before versions were named. A timestamp is rounded to the microsecond and has no bounds; every
   advertisement counts; a country is any two capital letters.
2: instants by `instants`, advertisements by `advertisements`, countries by `countries`, ids of rejected events in
   canonical form, and a bound on how deep JSON nests.
3: invalid traffic by `traffic`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ingestion.contract.offsets import OffsetVector

OLDEST, NEWEST = 1, 3


@dataclass(frozen=True)
class Boundary:
    """A version of the event contract, and the offsets from which it is in force."""

    version: int
    offsets: OffsetVector


@dataclass(frozen=True)
class EventContracts:
    """The version of the event contract that reads each message of a log; before the first boundary the oldest."""

    boundaries: tuple[Boundary, ...] = ()
    """Ascending by version; every boundary covers the one before it."""

    def __post_init__(self) -> None:
        versions = [each.version for each in self.boundaries]
        if versions != sorted(set(versions)) or not all(OLDEST <= version <= NEWEST for version in versions):
            raise ValueError(
                f"versions of the event contract are {versions}; known are {OLDEST} to {NEWEST}, ascending: use the "
                "program that published them, or a newer one"
            )

    @cached_property
    def _newest_first(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        return tuple((each.version, each.offsets.ends) for each in reversed(self.boundaries))

    @classmethod
    def of_new_log(cls, topic: str, partition_count: int = 1) -> "EventContracts":
        """Return the contracts of a log that was never counted: the newest from its beginning."""
        return cls().followed_by_newest(OffsetVector.zero(topic, partition_count))

    def version_at(self, partition: int, offset: int) -> int:
        """Return the version by which the message at a place is read.

        A partition that was added to the topic after a boundary was set is read by its version from the beginning.
        """
        for version, ends in self._newest_first:
            if partition >= len(ends) or offset >= ends[partition]:
                return version
        return OLDEST

    def followed_by_newest(self, counted: OffsetVector) -> "EventContracts":
        """Return the contracts with the newest in force from `counted` on, unless it is in force already."""
        if self.boundaries and self.boundaries[-1].version == NEWEST:
            return self
        return EventContracts((*self.boundaries, Boundary(NEWEST, counted)))

    @classmethod
    def from_json(cls, document: Sequence[Mapping[str, Any]] | None) -> "EventContracts":
        """Parse the output of `to_json`; None means a log that was counted before versions were named."""
        boundaries = ((each["version"], OffsetVector.from_json(each["offsets"])) for each in document or ())
        return cls(tuple(Boundary(version, offsets) for version, offsets in boundaries))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the boundaries as JSON: `[{"version": 2, "offsets": {"topic": …, "ends": […]}}]`."""
        return [{"version": each.version, "offsets": each.offsets.to_json()} for each in self.boundaries]


BEFORE_VERSIONS = EventContracts()
"""The contracts of a log that was counted before versions were named."""
