"""What the gate compares: numbers that must be the same when counted in two ways, and numbers that never go back."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.ports import Archived
from ingestion.contract.offsets import OffsetVector


@dataclass(frozen=True)
class Subject:
    """What the gate looks at: the judged days of the branch, what was appended, and the former version's tally."""

    events: DataFrame
    rejected: DataFrame
    """The rows appended to the table of rejected events."""
    detail: DataFrame
    by_day: DataFrame
    changed_totals: DataFrame
    """The branch's totals of the videos that changed."""
    expected_totals: DataFrame
    """The same, as computed."""
    tally: DataFrame
    """All of the branch's tally."""
    former_tally: DataFrame
    judged_days: Collection[date]
    former_offsets: OffsetVector | None
    offsets: OffsetVector
    archived: Archived


def sums(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return `(what, found, expected)`, one row for everything that is counted in two ways."""
    days = F.col("event_day").isin(sorted(subject.judged_days))
    judged_tally = subject.tally.where(days)
    counted_tally = judged_tally.where("verdict = 'counted'")
    hour = ("partition", "event_hour")
    added = list(subject.archived.rows_by_partition.items())
    now_rejected, former_rejected = (
        rows.where("verdict = 'rejected'") for rows in (subject.tally, subject.former_tally)
    )
    found = [
        _part(judged_tally, "tally of partition and hour", hour, found="event_count"),
        _part(subject.tally, "tally of partition", ("partition",), found="event_count"),
        _part(subject.by_day, "views of day", ("event_day",), found="views"),
        _part(subject.detail, "detailed views of day", ("event_day",), found="views"),
        _part(subject.rejected.where("topic IS NOT NULL AND size(reasons) > 0"), "rejected events", (), found=1),
        _part(subject.changed_totals, "totals of changed videos", (), found="views"),
        _part(subject.changed_totals, "billable totals of changed videos", (), found="billable_views"),
        # keys that stand twice
        _part(subject.events, "distinct events", (), found=1),
        _part(subject.events.where("verdict = 'counted'"), "distinct counted ids", (), found=1),
        _part(subject.detail, "distinct detailed counts", (), found=1),
        _part(subject.by_day, "distinct day counts", (), found=1),
    ]
    expected = [
        _part(subject.events, "tally of partition and hour", hour, expected=1),
        _part(subject.former_tally, "tally of partition", ("partition",), expected="event_count"),
        _part(_rows(spark, added), "tally of partition", ("partition",), expected="number"),
        _part(counted_tally, "views of day", ("event_day",), expected="event_count"),
        _part(counted_tally, "detailed views of day", ("event_day",), expected="event_count"),
        _part(now_rejected, "rejected events", (), expected="event_count"),
        _part(former_rejected, "rejected events", (), expected="-event_count"),
        _part(subject.expected_totals, "totals of changed videos", (), expected="views"),
        _part(subject.expected_totals, "billable totals of changed videos", (), expected="billable_views"),
        _distinct(subject.events, "distinct events", "partition", "offset"),
        _distinct(subject.events.where("verdict = 'counted'"), "distinct counted ids", "event_id", "event_day"),
        _distinct(subject.detail, "distinct detailed counts", "video_id", "event_day", "country", "device_type"),
        _distinct(subject.by_day, "distinct day counts", "video_id", "event_day"),
    ]
    return _summed([*found, *expected], "found", "expected")


def monotony(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return `(what, now, former)`: what never goes back from one version to the next."""
    former_ends = subject.former_offsets.ends if subject.former_offsets else ()
    parts = [
        _part(_rows(spark, enumerate(subject.offsets.ends)), "offset_end of", ("partition",), found="number"),
        _part(_rows(spark, enumerate(former_ends)), "offset_end of", ("partition",), expected="number"),
    ]
    for key in ("partition", "event_day"):
        parts.append(_part(subject.tally, f"received by {key}", (key,), found="event_count"))
        parts.append(_part(subject.former_tally, f"received by {key}", (key,), expected="event_count"))
    return _summed(parts, "now", "former")


def _part(
    rows: DataFrame, what: str, keys: Iterable[str], *, found: str | int = 0, expected: str | int = 0
) -> DataFrame:
    """Return one row for each row, to be summed by `what`: its share of what was found or of what is expected."""
    return rows.selectExpr(
        f"concat_ws(' ', {', '.join([repr(what), *keys])}) AS what",
        f"cast({found} AS bigint) AS left",
        f"cast({expected} AS bigint) AS right",
    )


def _distinct(rows: DataFrame, what: str, *keys: str) -> DataFrame:
    return _part(rows.groupBy(*keys).agg(F.lit(1).alias("one")), what, (), expected="one")


def _summed(parts: Iterable[DataFrame], left: str, right: str) -> DataFrame:
    grouped = reduce(DataFrame.unionAll, parts).groupBy("what")
    return grouped.agg(F.sum("left").alias(left), F.sum("right").alias(right))


def _rows(spark: SparkSession, numbers: Iterable[tuple[int, int]]) -> DataFrame:
    pairs = list(numbers)
    table = pa.table(
        {
            "partition": pa.array([partition for partition, _ in pairs], pa.int32()),
            "number": pa.array([number for _, number in pairs], pa.int64()),
        }
    )
    return spark.createDataFrame(table)
