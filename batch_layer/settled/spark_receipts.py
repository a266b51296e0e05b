"""Look receipted events up in one published version: the message in the archive, and the verdict on it."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.content import Place
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, on_days
from batch_layer.lake.tables import EVENTS, RAW_EVENTS
from ingestion.contract.counting import Verdict
from ingestion.contract.version import PublishedVersion


class Receipted(NamedTuple):
    """An event as its receipt names it."""

    event_id: str
    video_id: str
    event_day: date
    sha256: str
    """Of the message's value, 64 hex digits."""


class Wrong(StrEnum):
    """Why an event is not in a version as its receipt says, or cannot be compared; the first that holds."""

    NO_VERDICT = "no_verdict"
    """No event of its id is there."""
    REMOVED = "removed"
    """Its message is not in the archive, and messages of its partition and hour were removed on record."""
    NO_MESSAGE = "no_message"
    """Its message is not in the archive."""
    OTHER_CONTENT = "other_content"
    """The archive has other messages under its id."""
    SEVERAL_VERDICTS = "several_verdicts"
    """Its message has more than one verdict."""
    MISFILED = "misfiled"
    """It is judged as a view of another video or day."""


class ReceiptLookup:
    """Compares receipted events with one version."""

    def __init__(self, spark: SparkSession, version: PublishedVersion, removed: Collection[Place]) -> None:
        """Look up in a version; `removed` is where rows of the archive were removed on record."""
        self._spark = spark
        self._removed = removed
        tables = IcebergTables(spark)
        self._events = tables.at(EVENTS, version.snapshots[EVENTS])
        self._raw = tables.at(RAW_EVENTS, version.snapshots[RAW_EVENTS])

    @translated
    def wrong(self, receipted: Sequence[Receipted], received: Collection[date]) -> list[tuple[int, Wrong]]:
        """Return the index and the problem of every event that is not there as receipted, by index.

        `received` has every day on which they may have been appended. Only their own days and these are read.
        """
        wanted = kept(self._frame(receipted))
        days = {each.event_day for each in receipted} | set(received)
        copies = self._copies(wanted, days)
        found = copies.rows.join(self._messages(copies), PLACE, "left")
        found = self._with_removed(found).alias("found")
        is_same = F.col("found.sha256") == F.col("wanted.sha256")
        is_filed = (F.col("verdict") == Verdict.REJECTED.value) | (
            (F.col("found.video_id") == F.col("wanted.video_id"))
            & (F.to_date("happened_at") == F.col("wanted.event_day"))
        )
        by_event = (
            wanted.rows.alias("wanted")
            .join(found, "event_id", "left")
            .groupBy("number")
            .agg(
                F.count("partition").alias("copies"),
                F.count("found.sha256").alias("messages"),
                F.count_if(is_same).alias("same"),
                F.count_if("is_removed").alias("removed"),
                F.max(F.when(is_same, F.col("verdicts"))).alias("verdicts"),
                F.count_if(is_same & is_filed).alias("filed"),
            )
        )
        problem = (
            F.when(F.col("copies") == 0, Wrong.NO_VERDICT.value)
            .when((F.col("same") == 0) & (F.col("removed") > 0), Wrong.REMOVED.value)
            .when((F.col("same") == 0) & (F.col("messages") < F.col("copies")), Wrong.NO_MESSAGE.value)
            .when(F.col("same") == 0, Wrong.OTHER_CONTENT.value)
            .when(F.col("verdicts") > 1, Wrong.SEVERAL_VERDICTS.value)
            .when(F.col("filed") == 0, Wrong.MISFILED.value)
        )
        rows = by_event.select("number", problem.alias("problem")).where("problem IS NOT NULL").orderBy("number")
        return [(row.number, Wrong(row.problem)) for row in rows.collect()]

    def _frame(self, receipted: Sequence[Receipted]) -> DataFrame:
        columns = [pa.array(range(len(receipted)), pa.int64())]
        kinds = (pa.string(), pa.string(), pa.date32(), pa.string())
        columns += [pa.array(column, kind) for column, kind in zip(zip(*receipted, strict=True), kinds, strict=True)]
        frame = self._spark.createDataFrame(pa.Table.from_arrays(columns, names=["number", *Receipted._fields]))
        return frame.withColumn("id_hash", F.xxhash64("event_id"))

    def _copies(self, wanted: Kept, days: Collection[date]) -> Kept:
        """Return every event that has the id of a receipted one, with the number of verdicts on its place."""
        columns = ("event_id", "id_hash", *PLACE, "appended_at", "video_id", "happened_at", "verdict")
        ids = wanted.joinable("id_hash", "event_id").distinct()
        rows = on_days(self._events, days).select(*columns).join(ids, ["id_hash", "event_id"], "left_semi")
        rows = kept(rows.drop("id_hash")).rows
        return kept(rows.join(rows.groupBy(*PLACE).agg(F.count("*").alias("verdicts")), PLACE))

    def _messages(self, copies: Kept) -> DataFrame:
        """Return the SHA-256 of the archived messages at the places of some events."""
        first, last = copies.rows.agg(F.min("appended_at"), F.max("appended_at")).first() or (None, None)
        at = F.col("appended_at")
        # a bound of the column by which the archive is partitioned
        raw = self._raw.where(at.between(_bound(first), _bound(last)))
        places = copies.joinable(*PLACE).distinct()
        return raw.join(places, PLACE, "left_semi").select(*PLACE, F.sha2("value", 256).alias("sha256"))

    def _with_removed(self, found: DataFrame) -> DataFrame:
        """Return the rows with `is_removed`: the message is gone, and some of its place were removed on record."""
        if not self._removed:
            return found.withColumn("is_removed", F.lit(False))
        columns = [
            pa.array([each.partition for each in self._removed], pa.int32()),
            pa.array([each.hour for each in self._removed], pa.timestamp("us", "UTC")),
            pa.array([True] * len(self._removed), pa.bool_()),
        ]
        table = pa.Table.from_arrays(columns, names=["partition", "hour", "is_on_record"])
        places = F.broadcast(self._spark.createDataFrame(table))
        of_hour = found.withColumn("hour", F.date_trunc("hour", "appended_at")).join(
            places, ["partition", "hour"], "left"
        )
        is_removed = F.col("sha256").isNull() & F.coalesce("is_on_record", F.lit(False))
        return of_hour.withColumn("is_removed", is_removed).drop("hour", "is_on_record")


def _bound(at: datetime | None) -> datetime:
    return datetime(1970, 1, 1) if at is None else at  # noqa: DTZ001  as Spark hands instants over
