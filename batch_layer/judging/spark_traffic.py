"""Apply the outcomes of the day rules of traffic to judged events: the last rule of billability, after the cap."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.counting import Billability
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import DayRules

UNDECIDED = (Billability.UNDER_REVIEW.value, Billability.TRAFFIC_PENDING.value)
PAID = (Billability.BILLABLE.value, *UNDECIDED)
"""The billabilities of views that have a place in the cap."""


def ends_of(rules: Mapping[date, DayRules]) -> dict[date, OffsetVector]:
    """Return how far the day rules saw the log, for each judged day."""
    return {day: each.seen.end for day, each in rules.items() if each.seen is not None}


@dataclass(frozen=True)
class TrafficOfDays:
    """What the day rules say of the events of a branch."""

    outcomes: DataFrame
    """The table of outcomes."""
    ends: Mapping[date, OffsetVector]
    """How far the rules saw the log, for each judged day."""

    def pending(self, events: DataFrame, column: str = "billability") -> DataFrame:
        """Return events with `traffic_pending` in place of `billable` where the rules of their day did not see them."""
        if not self.ends:
            return events
        now = F.when(
            (F.col(column) == Billability.BILLABLE.value) & is_beyond("seen_ends"), Billability.TRAFFIC_PENDING.value
        ).otherwise(F.col(column))
        joined = events.join(ends_frame(events.sparkSession, self.ends, "seen_ends"), "event_day", "left")
        return joined.withColumn(column, now).drop("seen_ends")

    def settled(self, events: DataFrame, days: Collection[date], column: str = "billability") -> DataFrame:
        """Return stored events of some days with the billability that their `billable` has by their traffic."""
        if not self.ends.keys() & set(days):
            return events
        marked = self.of((TrafficOutcome.REVIEW,), days).withColumn("is_reviewed", F.lit(True))
        now = F.when(
            (F.col(column) == Billability.BILLABLE.value) & F.col("is_reviewed"), Billability.UNDER_REVIEW.value
        ).otherwise(F.col(column))
        reviewed = events.join(marked, PLACE, "left").withColumn(column, now).drop("is_reviewed")
        return self.pending(reviewed, column)

    def of(self, outcomes: Collection[TrafficOutcome], days: Collection[date]) -> DataFrame:
        """Return the places of the events of some days that have one of some outcomes."""
        return on_days(self.outcomes, days).where(is_outcome(outcomes)).select(*PLACE)


def is_outcome(outcomes: Collection[TrafficOutcome], column: str = "outcome") -> Column:
    """Return whether the outcome of a row is one of these; null without one."""
    return F.col(column).isin(*(each.value for each in outcomes))


def ends_frame(spark: SparkSession, ends: Mapping[date, OffsetVector], name: str) -> DataFrame:
    """Return `(event_day, name)` with the ends by partition, as literals of the query, ready to be joined."""
    if not ends:
        return spark.createDataFrame([], f"event_day date, {name} array<bigint>")
    rows = ", ".join(f"(DATE'{day}', {literal(end)})" for day, end in sorted(ends.items()))
    found = spark.sql(f"SELECT * FROM VALUES {rows} AS seen(event_day, {name})")  # noqa: S608 - numbers and dates only
    return F.broadcast(found)


def is_beyond(ends: str) -> Column:
    """Return whether an event lies at or after its partition's end; null ends cover everything.

    A partition that was added to the topic later has no end, and lies beyond.
    """
    return F.expr(f"{ends} IS NOT NULL AND offset >= coalesce(try_element_at({ends}, partition + 1), 0)")


def literal(end: OffsetVector) -> str:
    """Return the ends by partition in SQL."""
    return f"array({', '.join(f'{offset}L' for offset in end.ends)})"
