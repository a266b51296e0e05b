"""Find conflicts (events whose id was used before with another content), each with the event it was compared with."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_verdicts import CANDIDATES, is_late
from batch_layer.lake.spark_stored import PLACE
from batch_layer.settled.spark_attribution import within
from ingestion.contract.counting import Verdict
from ingestion.contract.periods import Period

_COMPARED = (
    "video_id",
    "user_id",
    "session_id",
    "happened_at",
    "view_duration",
    "revenue_eligible",
    "country",
    "device_type",
    "ad_types",
)


def conflicts_of(events: DataFrame, viewers: DataFrame, period: Period) -> DataFrame:
    """Return the conflicts of the period: place, ids, instants in microseconds, the place of the first, `differing`.

    The first is chosen by the rule of `repeat_verdicts`; `differing` names the columns in which the two differ, none
    if the contents differ only in fields that the tables do not keep.
    """
    is_near_period = F.col("event_day").between(F.date_sub(F.lit(period.start_on), 1), F.lit(period.end_on))
    persons = viewers.where(is_near_period).select(*PLACE, "user_id", "session_id")
    events = events.where(is_near_period & F.col("verdict").isin(*CANDIDATES)).join(persons, PLACE, "left")
    own = F.col("verdict") == Verdict.CONFLICT.value
    conflicts = events.where(own & within(F.col("event_day"), period)).alias("conflict")
    first = F.struct(is_late().alias("is_late"), "appended_at", *PLACE, F.struct(*_COMPARED).alias("content"))
    in_reach = events.select(
        F.col("event_id").alias("same_id"), F.col("event_day").alias("first_day"), first.alias("first")
    )
    is_near = F.abs(F.date_diff("conflict.event_day", "first_day")) <= 1
    columns = [F.col(f"conflict.{name}") for name in (*PLACE, "event_id", "appended_at", *_COMPARED)]
    found = (
        conflicts.join(in_reach, (F.col("conflict.event_id") == F.col("same_id")) & is_near)
        .groupBy(*columns)
        .agg(F.min("first").alias("first"))
    )
    differs = [F.when(~F.col(name).eqNullSafe(F.col(f"first.content.{name}")), F.lit(name)) for name in _COMPARED]
    return found.select(
        *PLACE,
        "event_id",
        "video_id",
        F.unix_micros("happened_at"),
        F.unix_micros("appended_at"),
        F.concat_ws(":", "first.partition", "first.offset"),
        F.array_compact(F.array(*differs)).alias("differing"),
    )
