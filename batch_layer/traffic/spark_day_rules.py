"""The day rules of invalid traffic in Spark: the outcomes of `day_rules`, for any order or partitioning of rows."""

from datetime import date
from itertools import chain

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.traffic import spark_acting_as_one, spark_crowds, spark_one_viewer, spark_origins
from batch_layer.traffic.one_viewer import SECOND
from batch_layer.traffic.spark_findings import outcomes
from batch_layer.traffic.traffic_policy import TrafficPolicy

SCHEMA = """
    partition int, offset bigint, event_id string, event_day date, happened_at timestamp, video_id string,
    payee_id string, length_seconds int, user_id string, session_id string, view_duration int,
    revenue_eligible boolean, country string, device_type string, network string, network_kind string, agent string,
    agent_class string, referrer_host string, quality string, ad_seconds bigint, ad_count int"""
"""The columns that the rules are given: those of `DayEvent`."""


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
