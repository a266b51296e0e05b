"""The ports of counts: published versions and the speed layer."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from serving_layer.counts.merge import ServedVersion, SettledCount, SpeedSums


class PublishedVersions(Protocol):
    """The pointer to the current version. Called from a thread; bounded in time."""

    def current(self) -> ServedVersion | None:
        """Return the current version, None before the first; raise UnavailableError."""


class SettledCounts(Protocol):
    """The counts of published versions, which never change. Called from a thread; bounded in time."""

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """Return the counts in force at a version, by video; unknown videos are absent.

        Raises UnavailableError.
        """

    def changes(self, video_ids: Sequence[str], after: int, through: int) -> Mapping[str, SettledCount]:
        """Return, of these videos, those that a version in (after, through] changed, with their counts at `through`.

        Raises UnavailableError.
        """


class SpeedCounts(Protocol):
    """The speed layer's counts. Bounded in time; one round trip."""

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        """Return the counts from the offsets on, for all ids at once; raise UnavailableError."""
