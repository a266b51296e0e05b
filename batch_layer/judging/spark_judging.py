"""Judge the touched days: read the stored events, add the new ones, and repeat until no other day can change."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.recomputed_days import days_after, days_before, days_to_recompute, neighbours
from batch_layer.judging.spark_billability import RulesByDay, judge_alone, over_cap, with_cap
from batch_layer.judging.spark_decode import COLUMNS
from batch_layer.judging.spark_verdicts import CANDIDATES, repeat_verdicts, with_verdicts

_VIEWER = ["user_id", "video_id"]


@dataclass(frozen=True)
class DayJudge:
    """Judges event days of `stored` (the events table at the base version) together with `decoded` new events."""

    spark: SparkSession
    stored: DataFrame
    decoded: DataFrame
    existing_days: frozenset[date]
    """The days of `stored`."""
    rules_for: Callable[[Collection[date]], RulesByDay]
    facts: DataFrame

    def judge(self, days: Collection[date]) -> DataFrame:
        """Return every event of `days`, judged, with the columns of the events table."""
        rules = self.rules_for(days)
        pool = _unjudged(_of_days(self.stored, days)).unionByName(self.decoded)
        beside = _unjudged(_of_days(self.stored, neighbours(days, self.existing_days)))
        columns = ("event_id", "event_day", "happened_at", "payload_digest", "appended_at", "partition", "offset")
        candidates = (
            pool.where("verdict IS NULL").select(*columns).unionByName(beside.where("verdict IS NULL").select(*columns))
        )
        judged = judge_alone(with_verdicts(pool, repeat_verdicts(candidates)), rules.as_rows(self.spark), self.facts)
        paid_before = _of_days(self.stored, days_before(days, self.existing_days)).where("billability = 'billable'")
        dropped = over_cap(judged.where("billability = 'billable'"), paid_before, rules.policies)
        return with_cap(judged, dropped)

    def days_to_add(self, days: Collection[date], judged: DataFrame) -> frozenset[date]:
        """Return the days after `days` whose cap looks back on changed billable views."""
        following = days_after(days, self.existing_days)
        if not following:
            return frozenset()
        border = [day for day in days if days_after([day], following)]
        now, before = (
            _of_days(events, border)
            .where("billability = 'billable'")
            .select("partition", "offset", "event_day", *_VIEWER)
            for events in (judged, self.stored)
        )
        place = ["partition", "offset"]
        changed = now.join(before, place, "left_anti").unionByName(before.join(now, place, "left_anti"))
        following_day = F.date_add("event_day", 1).alias("event_day")
        capped = _of_days(self.stored, following).where("billability IN ('billable', 'over_cap')")
        found = capped.join(changed.select(following_day, *_VIEWER), ["event_day", *_VIEWER], "left_semi")
        return frozenset(row.event_day for row in found.select("event_day").distinct().collect())


def judge_touched(
    judge: DayJudge, touched: Collection[date], write: Callable[[DataFrame, frozenset[date]], DataFrame]
) -> frozenset[date]:
    """Judge the touched days and all days that they affect; return the judged days.

    `write` stores judged events of days and returns them as stored; it is called again with more days if the cap of
    a following day depends on a change.
    """
    days = days_to_recompute(touched, judge.existing_days)
    while more := judge.days_to_add(days, write(judge.judge(days), days)):
        days |= more
    return days


def _of_days(events: DataFrame, days: Collection[date]) -> DataFrame:
    return events.where(F.col("event_day").isin(sorted(days)) if days else F.lit(False))


def _unjudged(events: DataFrame) -> DataFrame:
    """Return stored events as the decoder produced them: candidates have no verdict."""
    verdict = F.when(~F.col("verdict").isin(*CANDIDATES), F.col("verdict")).alias("verdict")
    return events.select(*[verdict if name == "verdict" else F.col(name) for name in COLUMNS])
