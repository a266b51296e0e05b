"""File accepted late events under their own day, so that they are judged like any other event."""

from collections.abc import Collection
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.spark_decode import PERSON
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, matching, with_position
from ingestion.contract.counting import ACCEPTABLE_FROM
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


def touched_days(decoded: DataFrame, moved: DataFrame | None) -> frozenset[date]:
    """Return the days of new events, and the former and new days of `moved` ones."""
    days = [decoded.select("event_day")]
    if moved is not None:
        days += [moved.select("event_day"), moved.select(F.to_date("happened_at"))]
    return frozenset(row[0] for each in days for row in each.distinct().collect())


def own_days(moved: Kept) -> frozenset[date]:
    """Return the days on which moved events happened."""
    if not moved.count:
        return frozenset()
    return frozenset(row[0] for row in moved.rows.select(F.to_date("happened_at")).distinct().collect())
