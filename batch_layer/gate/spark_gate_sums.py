"""The numbers that the gate compares: pairs counted in two ways, and numbers that never decrease."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.ports import Archived
from ingestion.contract.offsets import OffsetVector


@dataclass(frozen=True)
class Subject:
    """The gate's input: the judged days of the branch, the appended rows, and the former version's tally."""

    events: DataFrame
    rejected: DataFrame
    """The rows appended to the table of rejected events."""
    detail: DataFrame
    by_day: DataFrame
    changed_totals: DataFrame
    """The branch's totals of the changed videos."""
    expected_totals: DataFrame
    """The same totals, recomputed."""
    tally: DataFrame
    """The branch's whole tally."""
    former_tally: DataFrame
    moved: DataFrame | None
    """The late events that a decision moved out of their former day, as they were stored there; None without any."""
    judged_days: Collection[date]
    former_offsets: OffsetVector | None
    offsets: OffsetVector
    archived: Archived


def sums(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return `(what, found, expected)`, one row for every number that is counted in two ways."""
    judged_tally = subject.tally.where(F.col("event_day").isin(sorted(subject.judged_days)))
    in_hour, on_day, in_partition = ("partition", "event_hour"), ("event_day",), ("partition",)
    counted, rejected = (f"if(verdict = '{verdict}', event_count, 0)" for verdict in ("counted", "rejected"))
    in_tally = "tally of partition and hour"
    parts = [
        _parts(subject.events, _Part(in_tally, in_hour, expected="1")),
        _parts(
            judged_tally,
            _Part(in_tally, in_hour, found="event_count"),
            _Part("views of day", on_day, expected=counted),
            _Part("detailed views of day", on_day, expected=counted),
        ),
        _parts(
            subject.tally,
            _Part("tally of partition", in_partition, found="event_count"),
            _Part("rejected events", expected=rejected),
        ),
        _parts(
            subject.former_tally,
            _Part("tally of partition", in_partition, expected="event_count"),
            _Part("rejected events", expected=f"-{rejected}"),
        ),
        _parts(
            _rows(spark, subject.archived.rows_by_partition.items()),
            _Part("tally of partition", in_partition, expected="number"),
        ),
        _parts(
            subject.rejected.where("topic IS NOT NULL AND size(reasons) > 0"),
            _Part("rejected events", found="1"),
        ),
        _parts(
            subject.changed_totals,
            _Part("totals of changed videos", found="views"),
            _Part("billable totals of changed videos", found="billable_views"),
        ),
        _parts(
            subject.expected_totals,
            _Part("totals of changed videos", expected="views"),
            _Part("billable totals of changed videos", expected="billable_views"),
        ),
        # keys that appear twice
        _parts(_by_key(subject.events, "partition", "offset"), _distinct("events")),
        _parts(_by_key(subject.events.where("verdict = 'counted'"), "event_id", "event_day"), _distinct("counted ids")),
        _parts(
            _by_key(subject.detail, "video_id", "event_day", "country", "device_type", summed="views"),
            _distinct("detailed counts"),
            _Part("detailed views of day", on_day, found="views"),
        ),
        _parts(
            _by_key(subject.by_day, "video_id", "event_day", summed="views"),
            _distinct("day counts"),
            _Part("views of day", on_day, found="views"),
        ),
    ]
    return _summed(parts, "found", "expected")


def monotony(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return `(what, now, former)` for numbers that never decrease from one version to the next."""
    former_ends = subject.former_offsets.ends if subject.former_offsets else ()
    received = [(f"received by {key}", (key,)) for key in ("partition", "event_day")]
    parts = [
        _parts(_rows(spark, enumerate(subject.offsets.ends)), _Part("offset_end of", ("partition",), found="number")),
        _parts(_rows(spark, enumerate(former_ends)), _Part("offset_end of", ("partition",), expected="number")),
        _parts(subject.tally, *[_Part(*each, found="event_count") for each in received]),
        _parts(subject.former_tally, *[_Part(*each, expected="event_count") for each in received]),
    ]
    if subject.moved is not None:
        parts.append(_parts(subject.moved, _Part(*received[1], expected="-1")))
    return _summed(parts, "now", "former")


class _Part(NamedTuple):
    """The contribution of each row to the found or expected sum of `what` and its keys; SQL expressions."""

    what: str
    keys: tuple[str, ...] = ()
    found: str = "0"
    expected: str = "0"


def _distinct(what: str) -> _Part:
    """Expect each key of `_by_key` on exactly one row."""
    return _Part(f"distinct {what}", found="row_count", expected="1")


def _by_key(rows: DataFrame, *keys: str, summed: str | None = None) -> DataFrame:
    more = [F.sum(summed).alias(summed)] if summed else []
    return rows.groupBy(*keys).agg(F.count("*").alias("row_count"), *more)


def _parts(rows: DataFrame, *parts: _Part) -> DataFrame:
    """Return `(what, left, right)` for each row and part; the rows are read once."""
    shares = ", ".join(
        f"struct(concat_ws(' ', {', '.join([repr(each.what), *each.keys])}) AS what, "
        f"cast({each.found} AS bigint) AS left, cast({each.expected} AS bigint) AS right)"
        for each in parts
    )
    return rows.selectExpr(f"inline(array({shares}))")


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
