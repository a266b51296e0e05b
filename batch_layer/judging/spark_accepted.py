"""File accepted late events under their own day, so that they are judged like any other event."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.spark_decode import PERSON
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, matching, with_position
from ingestion.contract.counting import ACCEPTABLE_FROM, Verdict
from ingestion.contract.offsets import LogPlace


def accepted_rows(spark: SparkSession, events: DataFrame, accepted: Collection[LogPlace]) -> DataFrame:
    """Return the late events at these places, unchanged; none with another verdict or before `ACCEPTABLE_FROM`."""
    late = events.where((F.col("verdict") == "late_review") & (F.col("happened_at") >= F.lit(ACCEPTABLE_FROM)))
    if not accepted:
        return late.limit(0)
    partitions, offsets = zip(*sorted(accepted), strict=True)
    columns = [pa.array(partitions, pa.int32()), pa.array(offsets, pa.int64())]
    places = spark.createDataFrame(pa.Table.from_arrays(columns, names=PLACE))
    return late.join(F.broadcast(places), PLACE, "left_semi").select(*events.columns)


def moved_events(events: DataFrame, viewers: DataFrame, accepted: Collection[LogPlace]) -> Kept:
    """Return the stored late events at these places, with their position and `PERSON`."""
    late = with_position(events)
    if not accepted:
        nobody = viewers.select(*PLACE, *PERSON)
        return Kept(late.where(F.lit(False)).join(nobody, PLACE), 0)
    found = kept(accepted_rows(events.sparkSession, late, accepted))
    persons = matching(viewers, "id_hash", kept(found.rows.select("id_hash").distinct()))
    return kept(found.rows.join(persons.select(*PLACE, *PERSON), PLACE, "left"))


def with_accepted(events: DataFrame, moved: DataFrame) -> DataFrame:
    """Return the events with those `moved` by a decision as candidates of their own day and hour."""
    others = events.join(F.broadcast(moved.select(*PLACE)), PLACE, "left_anti")
    return others.unionByName(filed_under_own_day(moved))


def filed_under_own_day(late: DataFrame) -> DataFrame:
    """Return late events as candidates of their own day and hour."""
    return late.withColumns(
        {
            "event_day": F.to_date("happened_at"),
            "event_hour": F.date_trunc("hour", "happened_at"),
            "verdict": F.lit(None).cast("string"),
        }
    )


@dataclass(frozen=True)
class Described:
    """New events as a whole, with those that a decision moved."""

    days: frozenset[date]
    """The days of new events, and the former and new days of moved ones."""
    moved_days: frozenset[date]
    """The days on which moved events happened."""
    rejected_count: int
    unknown_country_count: int
    """New events whose country is not a known country."""


def described(decoded: DataFrame, moved: Kept) -> Described:
    """Describe new events, and `moved` ones, in one Spark job."""
    nothing: Column = F.lit(None).cast("date")
    seen = decoded.select("event_day", nothing.alias("own_day"), "verdict", "is_country_unknown")
    if moved.count:
        own_day = F.to_date("happened_at").alias("own_day")
        of_moved = (F.lit("moved").alias("verdict"), F.lit(False).alias("is_country_unknown"))
        seen = seen.unionByName(moved.rows.select("event_day", own_day, *of_moved))
    found = seen.agg(
        F.collect_set("event_day").alias("days"),
        F.collect_set("own_day").alias("own_days"),
        F.count_if(F.col("verdict") == Verdict.REJECTED.value).alias("rejected"),
        F.count_if("is_country_unknown").alias("unknown"),
    ).collect()[0]
    moved_days = frozenset(found.own_days)
    return Described(frozenset(found.days) | moved_days, moved_days, found.rejected, found.unknown)
