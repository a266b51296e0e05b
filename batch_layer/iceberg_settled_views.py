"""What one published version says about a period, read at the version's own snapshots. Billing reads this."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import UnavailableError
from batch_layer.iceberg_tables import EVENTS, VIEWS_BY_DETAIL, IcebergTables
from ingestion.contract.counting import Billability, Verdict
from ingestion.contract.periods import Period
from ingestion.contract.version import PublishedVersion

REVIEWED = (Verdict.CONFLICT.value, Verdict.LATE_REVIEW.value)
"""Verdicts that wait for a person's decision."""


@dataclass(frozen=True)
class SettledCountRow:
    """The settled counts of one video, event day (UTC) and country; `ZZ` stands for no known country."""

    video_id: str
    event_day: date
    country: str
    views: int
    billable_views: int
    policy_version: int


@dataclass(frozen=True)
class BillableEventRow:
    """One billable view; `event_id` is the UUID in canonical text."""

    video_id: str
    event_id: str
    event_day: date
    country: str


class IcebergSettledViews:
    """The settled views of one version. Whatever is published meanwhile, every answer is that version's.

    Raises:
        UnavailableError: HDFS or the catalog went away while reading.
    """

    def __init__(self, spark: SparkSession, version: PublishedVersion) -> None:
        self._tables = IcebergTables(spark)
        self._version = version

    @property
    def version(self) -> PublishedVersion:
        """The version all answers belong to."""
        return self._version

    def counts(self, period: Period) -> Iterator[SettledCountRow]:
        """Yield one row per video, event day in the period and country with at least one view, in any order."""
        rows = (
            self._read(VIEWS_BY_DETAIL)
            .where(_within(F.col("event_day"), period))
            .groupBy("video_id", "event_day", "country", "policy_version")
            .agg(F.sum("views").alias("views"), F.sum("billable_views").alias("billable_views"))
            .select("video_id", "event_day", "country", "views", "billable_views", "policy_version")
        )
        return (SettledCountRow(*row) for row in _streamed(rows))

    def billable_events(self, period: Period) -> Iterator[BillableEventRow]:
        """Yield every billable event whose event day lies in the period, ascending by (video_id, event_id).

        Both compared byte by byte. One sorted partition is in memory at a time.
        """
        rows = (
            self._read(EVENTS)
            .where(_within(F.col("event_day"), period) & (F.col("billability") == Billability.BILLABLE.value))
            .select("video_id", "event_id", "event_day", "country")
            .orderBy("video_id", "event_id")
        )
        return (BillableEventRow(*row) for row in _streamed(rows))

    def open_review_items(self, period: Period) -> Mapping[str, int]:
        """Return how many events of each reviewed verdict claim to have happened in the period.

        By the event's own timestamp: `event_day` of a late event is the day it was received.
        """
        own_day = F.to_date("happened_at")
        rows = (
            self._read(EVENTS)
            .where(F.col("verdict").isin(*REVIEWED) & _within(own_day, period))
            .groupBy("verdict")
            .count()
        )
        return {verdict: count for verdict, count in _streamed(rows)}

    def _read(self, table: str) -> DataFrame:
        return self._tables.at(table, self._version.snapshots[table])


def _within(day: Column, period: Period) -> Column:
    return (day >= F.lit(period.start_on)) & (day < F.lit(period.end_on))


def _streamed(rows: DataFrame) -> Iterator[Row]:
    try:
        yield from rows.toLocalIterator(prefetchPartitions=True)
    except PySparkException as error:
        raise UnavailableError(f"the batch tables cannot be read ({type(error).__name__})") from error
