"""The ports of history: published versions over time, and the owners of videos."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from serving_layer.counts.merge import ServedVersion, SettledCount
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.series import CompletionSum, VideoSum, ViewerSum, WindowSum
from serving_layer.request.parameters import SeriesQuery, TopQuery


class QueryTooSlowError(Exception):
    """The store cancelled a query because it would take longer than allowed."""


class SettledHistory(Protocol):
    """Published versions and their counts over time, which never change. Called from a thread; bounded in time.

    Every call raises UnavailableError; sums raise QueryTooSlowError, too. The counts of an expired version are joined
    with those of others some time after `version` first raises, never before.
    """

    def version(self, number: int) -> ServedVersion | None:
        """Return a published version; raise ExpiredVersionError if it is no longer kept."""

    def version_at(self, instant: datetime) -> ServedVersion | None:
        """Return the newest version that was published at or before an instant; raise ExpiredVersionError."""

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """Return the counts in force at a version; see `SettledCounts`."""

    def totals(self, video_ids: Sequence[str], version: int) -> SettledCount:
        """Return the sum of the counts in force at a version."""

    def series(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[WindowSum]:
        """Return the sums over the videos at a version, by window and group; windows without views may be absent."""

    def viewers(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[ViewerSum] | None:
        """Return the different viewers of the videos together, by window; windows without any may be absent.

        The query is by UTC days and without groups. None: the version is of a release that counted no viewers.
        """

    def completion(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[CompletionSum]:
        """Return how far the viewers of the videos got, by window; windows without views may be absent.

        The query is by UTC days and without groups.
        """

    def top(self, version: int, query: TopQuery, most: int) -> list[VideoSum]:
        """Return the `most` videos with the most views of the requested kind at a version, best first."""

    def invalid(self, video_ids: Sequence[str], version: int, start_on: date, end_on: date) -> list[InvalidSum]:
        """Return the invalid traffic of the videos together on the UTC days [start_on, end_on), by day and class.

        Only of days that are settled at the version: the rules of the day have judged it or, where it has none, the log
        is settled for a whole day past its end. Classes without events are absent.
        """


class Channels(Protocol):
    """The owners of videos, by the catalogue. Called from a thread; bounded in time; raise UnavailableError.

    `published_by` None means the newest catalogue, a version's number the one in force at its publication.
    """

    def video_ids(self, payee_id: str, published_by: int | None) -> Sequence[str] | None:
        """Return the videos of which a payee owns a share, in order; None if the catalogue does not have the payee."""

    def shares(self, payee_id: str, day: date) -> Mapping[str, int] | None:
        """Return the payee's share of each video of theirs on a UTC day, in parts per million, in order of the videos.

        By the newest catalogue; None if it does not have the payee.
        """

    def payees(self, video_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the present owners of each video; a video without an owner is absent."""

    def titles(self, video_ids: Collection[str]) -> Mapping[str, str]:
        """Return the present title of each video; a video without one is absent."""
