"""Let the rules of a period look at weeks of events: what they find of events of which nothing is said yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_day_rows import DayRows, Videos
from batch_layer.judging.spark_traffic_groups import found_sets
from batch_layer.judging.traffic_guard import DayShares, reasons_of_too_many
from batch_layer.judging.traffic_rules import TrafficPolicyDays, TrafficRules
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import TrafficFinding
from ingestion.contract.version import DayRules

_OUTCOME = (*PLACE, "event_day", "payee_id", "outcome", "reason", "points")
_EVIDENCE = {"days": "event_day", "viewers": "user_id", "videos": "video_id", "networks": "network"}


@dataclass(frozen=True)
class PeriodJudging:
    """A period to be judged, on the events of a branch."""

    period: Period
    days: Collection[date]
    """Those of its days that a policy rules and no rule of a period has judged."""
    rules: Mapping[date, DayRules]
    """The rules of every event day of the branch."""
    end: OffsetVector
    catalogue_version: int

    def found(self, source: DayRows, rules: TrafficRules, catalogue: CatalogueFacts) -> Kept:
        """Return what the rules find on the days: the columns of outcomes, and those of the evidence.

        The rules of each policy see the period, and at least as many days before its end as the policy asks for. What a
        rule of a day or a person has said of an event stays. A reason with too many events of the days is a review.
        """
        by_policy = rules.by_policy({day: self.rules[day] for day in self.days})
        parts = [
            self._found_by(policy, days, source, rules, catalogue)
            for policy, days in by_policy.items()
            if policy.period_days
        ]
        nothing = source.traffic.outcomes.where(F.lit(False)).select(*_OUTCOME)
        found = nothing.withColumns({name: F.lit(None).cast("string") for name in ("user_id", "video_id", "network")})
        for part in parts:
            found = found.unionByName(part)
        return kept(found)

    def _found_by(
        self,
        policy: TrafficPolicyDays,
        days: Sequence[date],
        source: DayRows,
        rules: TrafficRules,
        catalogue: CatalogueFacts,
    ) -> DataFrame:
        first_on = min(self.period.start_on, self.period.end_on - timedelta(days=policy.period_days))
        seen_days = [day for day in sorted(self.rules) if first_on <= day < self.period.end_on]
        videos = Videos.of(catalogue, self.catalogue_version)
        rows = source.rows_of_weeks(seen_days, self.end, videos).persist()
        payee_viewers = kept(catalogue.payee_viewers(self.catalogue_version)).rows
        outcomes = on_days(rules.period_outcomes(rows, payee_viewers, policy.version), days).drop("event_day")
        judged = on_days(source.traffic.outcomes, days).select(*PLACE)
        of_days = on_days(rows, days).select(*PLACE, "event_day", "payee_id", "user_id", "video_id", "network")
        found = kept(outcomes.join(judged, PLACE, "left_anti").join(of_days, PLACE)).rows
        shares = DayShares(
            of_days.count(), {row.reason: row["count"] for row in found.groupBy("reason").count().collect()}
        )
        rows.unpersist()
        outcome = F.when(F.col("reason").isin(*reasons_of_too_many(shares)), "review").otherwise(F.col("outcome"))
        return found.withColumn("outcome", outcome).select(*_OUTCOME, "user_id", "video_id", "network")


def findings_of(found: DataFrame) -> tuple[TrafficFinding, ...]:
    """Return the findings in what `PeriodJudging` found, in order."""
    key = (F.coalesce("payee_id", F.lit("")).alias("payee"), "reason", "outcome")
    distinct = (F.count_distinct(column).alias(name) for name, column in _EVIDENCE.items())
    sums = found.groupBy(*key).agg(
        F.max("points").alias("points"), F.min("event_day").alias("first"), F.max("event_day").alias("last"), *distinct
    )
    evidence = {(row.reason, row.payee, TrafficOutcome(row.outcome)): row for row in sums.collect()}
    return tuple(
        TrafficFinding(each, row.points, row["first"], row["last"], {name: row[name] for name in _EVIDENCE})
        for each in found_sets(found)
        for row in (evidence[each.reason, each.payee_id, each.outcome],)
    )
