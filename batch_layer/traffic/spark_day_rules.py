"""The day rules of invalid traffic in Spark: the outcomes of `day_rules`, for any order or partitioning of rows."""

from functools import reduce
from itertools import chain

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.traffic import spark_acting_as_one, spark_crowds, spark_one_viewer, spark_origins
from batch_layer.traffic.allowed import Allowed
from batch_layer.traffic.one_viewer import SECOND
from batch_layer.traffic.spark_allowed import without_allowed
from batch_layer.traffic.spark_findings import IS_OF_DAY, nothing, outcomes
from ingestion.contract.traffic_policy import TrafficPolicy

SCHEMA = """
    partition int, offset bigint, event_id string, event_day date, happened_at timestamp, video_id string,
    payee_id string, length_seconds int, user_id string, session_id string, view_duration int, country string,
    device_type string, network string, network_kind string, agent string, referrer_host string, judged_day date"""
"""The columns that the rules are given: those of `DayEvent`, and the day under whose rules an event is seen."""


def day_outcomes(rows: DataFrame, policy: TrafficPolicy, allowed: Allowed = ()) -> DataFrame:
    """Return partition, offset, event_day, outcome, reason and points of the events that have an outcome.

    `rows` are, for each judged day, the events of that day and of the day before that would be counted if there were no
    day rules. One plan judges all days, and rows of different judged days never meet: every group, order and join has
    the judged day in its key. They are read several times, so the caller keeps them. `allowed` are the policy's own
    entries.
    """
    timed = with_times(rows)
    rooms = (spark_one_viewer, spark_acting_as_one, spark_crowds, spark_origins)
    found = chain.from_iterable(room.found(timed, policy) for room in rooms)
    of_day = reduce(DataFrame.unionAll, (each.where(IS_OF_DAY) for each in chain([nothing(timed)], found)))
    return outcomes(without_allowed(of_day, timed, allowed), policy)


def with_times(rows: DataFrame) -> DataFrame:
    """Return rows with begun and ended, in microseconds since 1970, and is_left: the view ended before its video."""
    begun = F.unix_micros("happened_at")
    seconds = F.col("view_duration").cast("bigint")
    length = F.col("length_seconds").cast("bigint")
    is_left = F.coalesce((seconds * 10 < length * 9) & (seconds < length - 3), F.lit(False))
    return rows.withColumns({"begun": begun, "ended": begun + seconds * SECOND, "is_left": is_left})
