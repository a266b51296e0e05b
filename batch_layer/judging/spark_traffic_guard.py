"""Count what each reason has of a day and of the judged days before it."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from operator import or_

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

    days: frozenset[date]
    history: Mapping[date, DayShares]

    def reasons(self, days: Collection[date], rows: DataFrame, outcomes: DataFrame) -> dict[date, tuple[str, ...]]:
        """Return the reasons of each of some of its days, by the events that its rules judged and their outcomes."""
        if not self.history:
            return dict.fromkeys(days, ())
        counts = {row.event_day: int(row["count"]) for row in rows.groupBy("event_day").count().collect()}
        by_reason = _by_reason(outcomes)
        return {
            day: reasons_to_review(DayShares(counts.get(day, 0), by_reason.get(day, {})), self._before(day))
            for day in days
        }

    def _before(self, day: date) -> list[DayShares]:
        near = (day - timedelta(days=back) for back in range(1, HISTORY_DAYS + 1))
        return [self.history[each] for each in near if each in self.history]


def stored_shares(
    tally: DataFrame, outcomes: DataFrame, days: Collection[date], codes: Collection[str]
) -> dict[date, DayShares]:
    """Return the shares of judged days, by the tables. `codes` are those of all reasons of day rules."""
    is_counted = (F.col("verdict") == "counted") | F.col("reason").isin(*codes)
    events = on_days(tally, days).where(is_counted).groupBy("event_day").agg(F.sum("event_count").alias("event_count"))
    counts = {row.event_day: int(row.event_count) for row in events.collect()}
    by_reason = _by_reason(on_days(outcomes, days))
    return {day: DayShares(counts.get(day, 0), by_reason.get(day, {})) for day in days}


def reviewed(outcomes: DataFrame, reasons: Mapping[date, Collection[str]]) -> DataFrame:
    """Return outcomes with `review` for every one of some reasons on its day."""
    is_reviewed = [
        (F.col("event_day") == F.lit(day)) & F.col("reason").isin(*each) for day, each in reasons.items() if each
    ]
    if not is_reviewed:
        return outcomes
    now = F.when(reduce(or_, is_reviewed), F.lit("review")).otherwise(F.col("outcome"))
    return outcomes.withColumn("outcome", now)


def _by_reason(outcomes: DataFrame) -> dict[date, dict[str, int]]:
    found: defaultdict[date, dict[str, int]] = defaultdict(dict)
    for row in outcomes.groupBy("event_day", "reason").count().collect():
        found[row.event_day][row.reason] = row["count"]
    return dict(found)
