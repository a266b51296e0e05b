"""The day rules of invalid traffic in Spark: the outcomes of `day_rules`, for any order or partitioning of rows."""

from datetime import date
from itertools import chain

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.traffic import spark_acting_as_one, spark_crowds, spark_one_viewer, spark_origins
from batch_layer.traffic.one_viewer import SECOND
from batch_layer.traffic.spark_findings import outcomes
from batch_layer.traffic.traffic_policy import TrafficPolicy


def day_outcomes(rows: DataFrame, day: date, policy: TrafficPolicy) -> DataFrame:
    """Return partition, offset, event_day, outcome, reason and points of the events of `day` that have an outcome.

    `rows` are the events of `day` and of the day before that would be counted if there were no day rules, with the
    columns of `DayEvent`. They are read several times, so the caller keeps them.
    """
    begun = F.unix_micros("happened_at")
    seconds = F.col("view_duration").cast("bigint")
    length = F.col("length_seconds").cast("bigint")
    is_left = F.coalesce((seconds * 10 < length * 9) & (seconds < length - 3), F.lit(False))
    timed = rows.withColumns({"begun": begun, "ended": begun + seconds * SECOND, "is_left": is_left})
    rooms = (spark_one_viewer, spark_acting_as_one, spark_crowds, spark_origins)
    found = chain.from_iterable(room.found(timed, policy) for room in rooms)
    is_of_day = F.col("event_day") == F.lit(day)
    return outcomes((each.where(is_of_day) for each in found), policy)
