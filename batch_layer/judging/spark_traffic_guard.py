"""Count what each reason has of a day and of the judged days before it."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.traffic_guard import HISTORY_DAYS, DayShares, reasons_to_review
from batch_layer.lake.spark_stored import on_days
from ingestion.contract.version import DayRules


def days_of_history(days: Collection[date], rules: Mapping[date, DayRules]) -> frozenset[date]:
    """Return the judged days among those that are the history of some days."""
    near = {day - timedelta(days=back) for day in days for back in range(1, HISTORY_DAYS + 1)}
    return frozenset(day for day in near if (each := rules.get(day)) is not None and each.seen is not None)


@dataclass(frozen=True)
class TrafficGuard:
    """Finds the reasons of days, judged for the first time, whose outcomes a person must look at."""

    history: Mapping[date, DayShares]

    def reasons(self, day: date, rows: DataFrame, outcomes: DataFrame) -> tuple[str, ...]:
        """Return the reasons of a day to be reviewed, by the rows that its rules see and their outcomes."""
        near = (day - timedelta(days=back) for back in range(1, HISTORY_DAYS + 1))
        history = [self.history[each] for each in near if each in self.history]
        return reasons_to_review(shares_of(rows, outcomes, day), history)


def stored_shares(
    tally: DataFrame, outcomes: DataFrame, days: Collection[date], codes: Collection[str]
) -> dict[date, DayShares]:
    """Return the shares of judged days, by the tables. `codes` are those of all reasons of day rules."""
    is_counted = (F.col("verdict") == "counted") | F.col("reason").isin(*codes)
    events = on_days(tally, days).where(is_counted).groupBy("event_day").agg(F.sum("event_count").alias("event_count"))
    counts = {row.event_day: int(row.event_count) for row in events.collect()}
    by_reason = _by_reason(on_days(outcomes, days))
    return {day: DayShares(counts.get(day, 0), by_reason.get(day, {})) for day in days}


def shares_of(rows: DataFrame, outcomes: DataFrame, day: date) -> DayShares:
    """Return the shares of a day that was judged just now."""
    event_count = rows.where(F.col("event_day") == F.lit(day)).count()
    return DayShares(event_count, _by_reason(outcomes).get(day, {}))


def reviewed(outcomes: DataFrame, reasons: Collection[str]) -> DataFrame:
    """Return outcomes with `review` for every one of some reasons."""
    if not reasons:
        return outcomes
    is_reviewed = F.col("reason").isin(*reasons)
    return outcomes.withColumn("outcome", F.when(is_reviewed, F.lit("review")).otherwise(F.col("outcome")))


def _by_reason(outcomes: DataFrame) -> dict[date, dict[str, int]]:
    found: defaultdict[date, dict[str, int]] = defaultdict(dict)
    for row in outcomes.groupBy("event_day", "reason").count().collect():
        found[row.event_day][row.reason] = row["count"]
    return dict(found)
