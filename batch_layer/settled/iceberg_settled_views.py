"""Read what one published version holds of a period, at the version's own snapshots. Billing reads this."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.tables import EVENTS, TRAFFIC_OUTCOMES, VIDEO_FACTS, VIEWERS, VIEWS_BY_DETAIL
from batch_layer.settled.spark_attribution import AttributionRows, pieces_of, placed, unpacked, with_outcomes, within
from batch_layer.settled.spark_conflicts import conflicts_of
from batch_layer.settled.spark_group_evidence import group_evidence
from batch_layer.settled.spark_rejudging import rejudged
from batch_layer.settled.spark_reviewed_groups import reviewed_groups
from ingestion.contract.counting import Billability, Verdict
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.settled import Conflict, ReviewedEvent, SettledPiece, UnplacedViews
from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion

REVIEWED = (Verdict.CONFLICT.value, Verdict.LATE_REVIEW.value)
"""Verdicts that wait for a person's decision."""
CONTRADICTIONS_SHOWN = 5
PERSON = ("user_id", "session_id")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class IcebergSettledViews:
    """The settled views of one version. Every answer is that version's, even if others are published meanwhile.

    Raises:
        UnavailableError: HDFS or the catalog went away while reading.
    """

    def __init__(
        self, spark: SparkSession, version: PublishedVersion, differences: Callable[[], Sequence[str]]
    ) -> None:
        self._spark = spark
        self._tables = IcebergTables(spark)
        self._version = version
        self._differences = differences

    @property
    def version(self) -> PublishedVersion:
        """Return the version that all answers belong to."""
        return self._version

    def pieces(self, attribution: AttributionRows, policy: CountingPolicy | None = None) -> Iterator[SettledPiece]:
        """Yield the period's events that have an owner and a card, payee by payee; see billing's port.

        One sorted partition is in memory at a time.
        """
        events = self._read(EVENTS)
        if policy is not None:
            facts, traffic = attribution.facts(), self._traffic()
            events = rejudged(events, self._read(VIEWERS), attribution.period, policy, facts, traffic)
        return unpacked(streamed(pieces_of(with_outcomes(events, attribution.period), attribution)))

    def unplaced(self, attribution: AttributionRows) -> Iterator[UnplacedViews]:
        """Yield the billable views of the period without an owner or without a card."""
        by_day = (
            self._read(EVENTS)
            .where(within(F.col("event_day"), attribution.period))
            .where(F.col("billability") == Billability.BILLABLE.value)
            .groupBy("video_id", F.col("event_day").alias("day"))
            .agg(F.count("*").alias("views"))
        )
        rows = (
            placed(by_day, attribution)
            .where("effective_from_on IS NULL")
            .groupBy("video_id", "payee_id")
            .agg(F.sum("views"), F.min("day"))
            .orderBy("video_id", "payee_id")
        )
        return (UnplacedViews(*row) for row in streamed(rows))

    def contradictions(self, period: Period) -> Sequence[str]:
        """Return a sentence for some of the videos and days whose published counts differ from the events."""
        keys = ("video_id", "event_day", "country")
        counts = self._read(VIEWS_BY_DETAIL).where(within(F.col("event_day"), period))
        is_billable = F.col("billability") == Billability.BILLABLE.value
        events = (
            self._read(EVENTS)
            .where(within(F.col("event_day"), period) & (F.col("verdict") == Verdict.COUNTED.value))
            .groupBy(*keys)
            .agg((-F.count("*")).alias("views"), (-F.count_if(is_billable)).alias("billable_views"))
        )
        signed = counts.select(*keys, "views", "billable_views").unionByName(events)
        sums = (F.sum("views").alias("views"), F.sum("billable_views").alias("billable_views"))
        wrong = signed.groupBy(*keys).agg(*sums).where("views <> 0 OR billable_views <> 0").orderBy(*keys)
        return [
            f"video {row.video_id}, {row.event_day}, country {row.country}: the published counts have {row.views:+} "
            f"views and {row.billable_views:+} billable views against the events"
            for row in streamed(wrong.limit(CONTRADICTIONS_SHOWN))
        ]

    def videos_seen(self, days: Collection[date], among: Collection[str]) -> set[str]:
        """Return which of the videos have counted views on some of the days."""
        wanted = self._spark.createDataFrame(pa.table({"video_id": pa.array(sorted(among), pa.string())}))
        counts = self._read(VIEWS_BY_DETAIL).where(F.col("event_day").isin(sorted(days)))
        return {row.video_id for row in streamed(counts.join(wanted, "video_id").select("video_id").distinct())}

    def open_review_items(self, period: Period) -> Mapping[str, int]:
        """Return how many events of each reviewed verdict claim to have happened in the period.

        By the event's own timestamp: `event_day` of a late event is the day it was received.
        """
        own_day = F.to_date("happened_at")
        rows = (
            self._read(EVENTS)
            .where(F.col("verdict").isin(*REVIEWED) & within(own_day, period))
            .groupBy("verdict")
            .count()
        )
        return {verdict: count for verdict, count in streamed(rows)}

    def unreconciled(self) -> Sequence[str]:
        """Return the known differences between archive, tables, served counts and ledger, in sentences."""
        return self._differences()

    def late_events(self, period: Period) -> Iterator[ReviewedEvent]:
        """Yield the events with verdict `late_review` that claim to have happened in the period."""
        rows = (
            self._read(EVENTS)
            .where((F.col("verdict") == Verdict.LATE_REVIEW.value) & within(F.to_date("happened_at"), period))
            .select("partition", "offset", "event_id", "video_id", *map(F.unix_micros, ("happened_at", "appended_at")))
        )
        return (
            ReviewedEvent(partition, offset, event_id, video_id, _instant(happened), _instant(appended))
            for partition, offset, event_id, video_id, happened, appended in streamed(rows)
        )

    def conflicts(self, period: Period) -> Iterator[Conflict]:
        """Yield the events of the period with verdict `conflict`."""
        for partition, offset, event_id, video_id, happened, appended, first_place, differing in streamed(
            conflicts_of(self._read(EVENTS), self._read(VIEWERS), period)
        ):
            instants = (_instant(happened), _instant(appended))
            yield Conflict(partition, offset, event_id, video_id, *instants, first_place, differing)

    def reviewed_groups(self) -> list[ReviewedGroup]:
        """Return the groups of events whose traffic is under review, in order."""
        traffic = self._traffic()
        return reviewed_groups(traffic.outcomes, self._read(EVENTS)) if traffic.ends else []

    def group_evidence(self, groups: Collection[TrafficGroup]) -> Mapping[TrafficGroup, GroupEvidence]:
        """Return the evidence on groups that are under review in the version."""
        if not groups:
            return {}
        lengths = self._read(VIDEO_FACTS).select("video_id", "length_seconds")
        return group_evidence(groups, self._traffic().outcomes, self._read(EVENTS), self._read(VIEWERS), lengths)

    def _traffic(self) -> TrafficOfDays:
        """Return what the day rules of traffic say; versions of earlier releases have judged no day."""
        ends = ends_of(self._version.day_rules)
        return TrafficOfDays(self._read(TRAFFIC_OUTCOMES) if ends else self._read(EVENTS).limit(0), ends)

    def _read(self, table: str) -> DataFrame:
        snapshots = self._version.snapshots
        if (
            table == VIEWERS and VIEWERS in snapshots
        ):  # no version pins personal columns: the newest ones are all there are
            return self._tables.newest(VIEWERS)
        if table == VIEWERS:  # a version of an earlier release has them in its events
            events = self._tables.at(EVENTS, snapshots[EVENTS])
            return events.select("partition", "offset", "event_day", *PERSON)
        return self._tables.at(table, snapshots[table]).drop(*PERSON)


def streamed(rows: DataFrame) -> Iterator[Row]:
    """Yield rows one partition after the other; raise UnavailableError if the tables cannot be read."""
    try:
        yield from rows.toLocalIterator(prefetchPartitions=True)
    except PySparkException as error:
        raise UnavailableError(Part.SPARK, f"the batch tables cannot be read ({type(error).__name__})") from error


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
