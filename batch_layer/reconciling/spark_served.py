"""The counts that the API serves, as rows that Spark's executors read from PostgreSQL."""

from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from batch_layer.lake.spark_postgres import read_postgres

_COUNTS = """
    SELECT DISTINCT ON (video_id) video_id, views, billable_views, coalesce(watched_seconds, 0) AS watched_seconds
    FROM published.video_counts WHERE version > %d AND version <= %d ORDER BY video_id, version DESC"""
_DAYS = """
    SELECT video_id, event_day, sum(views_change)::bigint AS views, sum(billable_change)::bigint AS billable_views,
        coalesce(sum(seconds_change), 0)::bigint AS watched_seconds,
        coalesce(sum(length_known_change), 0)::bigint AS length_known_views,
        coalesce(sum(reached_25_change), 0)::bigint AS reached_25,
        coalesce(sum(reached_50_change), 0)::bigint AS reached_50,
        coalesce(sum(reached_75_change), 0)::bigint AS reached_75,
        coalesce(sum(reached_100_change), 0)::bigint AS reached_100
    FROM published.video_day_changes WHERE version > %d AND version <= %d GROUP BY video_id, event_day"""
_INVALID = """
    SELECT event_day, invalid_class, sum(events_change)::bigint AS events
    FROM published.invalid_changes WHERE version > %d AND version <= %d GROUP BY event_day, invalid_class"""

_VIEWERS = """
    SELECT video_id, event_day, sum(viewers_change)::bigint AS unique_viewers
    FROM published.viewer_changes WHERE version > %d AND version <= %d GROUP BY video_id, event_day"""


class ServedCounts(Protocol):
    """Reads the served counts as data frames of video_id and the measures of `VideoMeasures`."""

    def counts_at(self, version: int) -> DataFrame:
        """Return the counts of each video in force at a version; zeros where no view is left."""

    def counts_between(self, after: int, until: int) -> DataFrame:
        """Return the newest counts of each video that a version in (after, until] changed."""

    def days_between(self, after: int, until: int) -> DataFrame:
        """Return by how much the versions in (after, until] changed each video on each day, in the column event_day.

        It has the columns of the completion, too.
        """

    def invalid_between(self, after: int, until: int) -> DataFrame:
        """Return by how much versions in (after, until] changed invalid traffic: event_day, invalid_class, events."""

    def viewers_between(self, after: int, until: int) -> DataFrame:
        """Return by how much versions in (after, until] changed the viewers: video_id, event_day, unique_viewers."""


class SparkServedCounts:
    """See the port `ServedCounts`."""

    def __init__(self, spark: SparkSession, url: str) -> None:
        self._spark, self._url = spark, url

    def counts_at(self, version: int) -> DataFrame:
        """See the port."""
        return self.counts_between(0, version)

    def counts_between(self, after: int, until: int) -> DataFrame:
        """See the port."""
        return self._read(_COUNTS % (after, until))

    def days_between(self, after: int, until: int) -> DataFrame:
        """See the port."""
        return self._read(_DAYS % (after, until))

    def invalid_between(self, after: int, until: int) -> DataFrame:
        """See the port."""
        return self._read(_INVALID % (after, until), key="invalid_class")

    def viewers_between(self, after: int, until: int) -> DataFrame:
        """See the port."""
        return self._read(_VIEWERS % (after, until))

    def _read(self, query: str, *, key: str = "video_id") -> DataFrame:
        return read_postgres(self._spark, self._url, query, key=key)
