"""What serving needs from the other layers, declared here and wired by jobs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from serving_layer.counts.merge import ServedVersion, SettledCount, SpeedSums
from serving_layer.history.series import VideoSum, WindowSum
from serving_layer.request.parameters import SeriesQuery, TopQuery


class SettledUnavailableError(Exception):
    """The store of published versions does not answer in time."""


class QueryTooSlowError(Exception):
    """The store gave a query up because it would take longer than allowed."""


class SpeedUnavailableError(Exception):
    """The speed layer's store does not answer in time."""


class PublishedVersions(Protocol):
    """The pointer to the current version. Called from a thread; bounded in time."""

    def current(self) -> ServedVersion | None:
        """Return the current version, None before the first; raises SettledUnavailableError."""


class SettledCounts(Protocol):
    """The counts of published versions, which never change. Called from a thread; bounded in time."""

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """Return the counts in force at a version, by video; videos unknown to it are left out.

        Raises SettledUnavailableError.
        """

    def changes(self, video_ids: Sequence[str], after: int, through: int) -> Mapping[str, SettledCount]:
        """Return, of these videos, those that a version in (after, through] changed, with their counts at `through`.

        Raises SettledUnavailableError.
        """


class SpeedCounts(Protocol):
    """The speed layer's counts. Bounded in time; one round trip."""

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        """Return what was counted from the offsets on, for all ids at once; raises SpeedUnavailableError."""


class SettledHistory(Protocol):
    """Published versions and what they say over time; none of it ever changes. Called from a thread; bounded in time.

    Every call raises SettledUnavailableError; sums raise QueryTooSlowError, too.
    """

    def version(self, number: int) -> ServedVersion | None:
        """Return a published version."""

    def version_at(self, instant: datetime) -> ServedVersion | None:
        """Return the newest version that was published at or before an instant."""

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """Return the counts in force at a version; see `SettledCounts`."""

    def totals(self, video_ids: Sequence[str], version: int) -> SettledCount:
        """Return the sum of the counts in force at a version."""

    def series(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[WindowSum]:
        """Return the sums over the videos at a version, by window and group; windows without views may be absent."""

    def top(self, version: int, query: TopQuery, most: int) -> list[VideoSum]:
        """Return the `most` videos with the most views of the kind asked for at a version, best first."""


class Channels(Protocol):
    """Whose video it is, by the catalogue. Called from a thread; bounded in time; raises SettledUnavailableError.

    `published_by` None asks for the newest catalogue, a version's number for the one its publication could know.
    """

    def video_ids(self, payee_id: str, published_by: int | None) -> Sequence[str] | None:
        """Return the videos of which a payee owns a share, in order; None where the catalogue lacks it."""

    def payees(self, video_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return who owns a share of each video now; a video without an owner is absent."""
