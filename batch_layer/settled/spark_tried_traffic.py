"""Judge days of a published version by a proposed policy of traffic, without storing anything: input of a backtest."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import RefusedError
from batch_layer.judging.spark_billability import with_quartile
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_day_rows import DayRows, days_without_persons
from batch_layer.judging.spark_day_traffic import EVENTS_AT_ONCE, DayJudging, EventRules
from batch_layer.judging.spark_judging import Stored
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of, is_outcome
from batch_layer.judging.spark_traffic_groups import is_of_period
from batch_layer.judging.spark_traffic_guard import TrafficGuard, days_of_history, stored_shares
from batch_layer.judging.traffic_rules import TrafficRules
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, on_days
from batch_layer.lake.tables import EVENTS, TALLY, TRAFFIC_OUTCOMES, VIDEO_FACTS, VIEWERS
from batch_layer.settled.iceberg_settled_views import streamed
from batch_layer.settled.spark_attribution import AttributionRows, pieces_of, unpacked, with_outcomes
from batch_layer.stages import Progress
from ingestion.contract.counting import Billability, Verdict
from ingestion.contract.day_traffic import DECIDED_OUTCOMES, TrafficOutcome
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.printable import counted
from ingestion.contract.settled import MovedViews, SettledPiece, TrafficState
from ingestion.contract.traffic_groups import TrafficGroup
from ingestion.contract.version import PublishedVersion

_GROUP = ("event_day", "reason", "payee_id")


@dataclass(frozen=True)
class TrafficTrial:
    """What a policy is tried with on a version."""

    spark: SparkSession
    version: PublishedVersion
    rules: TrafficRules
    """With the proposed policy alone."""
    catalogue: CatalogueFacts
    policies: Collection[CountingPolicy]
    """Every counting policy."""

    def judge(self, days: Collection[date], progress: Progress) -> "SparkTriedTraffic":
        """Judge some of the judged days again, by what is pinned for each but for its policy.

        A reason that suddenly has many events of a day is reviewed, as if the day were judged for the first time. Where
        the policy says `review` of an event that a person decided on, the decision holds. What rules of a period found
        stays.

        Raises:
            RefusedError: no day is left whose personal columns are still there.
        """
        before = self.version.day_rules
        facts = self._read(VIDEO_FACTS)
        events = with_quartile(self._read(EVENTS), facts)
        stored = Stored(events, IcebergTables(self.spark).newest(VIEWERS), frozenset(before))
        outcomes = self._read(TRAFFIC_OUTCOMES)
        erased = days_without_persons(stored.events, stored.viewers, days)
        left = frozenset(days) - erased
        if not left:
            raise RefusedError(
                "viewers of every judged day were forgotten or removed, so no rule can look at them again; "
                "choose later days"
            )
        (policy,) = self.rules.policies
        now = {day: replace(before[day], traffic_policy_version=policy.version) for day in left}
        judging = DayJudging(stored, outcomes, before, now)
        fresh = kept(_with_given(self._fresh(judging, progress), on_days(outcomes, left))).rows
        progress("compare", "which views change, by these outcomes and the cap")
        proposed = outcomes.where(~F.col("event_day").isin(sorted(left))).unionByName(fresh)
        by_version = {each.version: each for each in self.policies}
        counting = {day: by_version[each.policy_version] for day, each in before.items()}
        by = EventRules(counting, facts, self.rules.sentences)
        added, removed = judging.event_changes(judging.compared(fresh), proposed, by)
        of_days = on_days(outcomes, left)
        return SparkTriedTraffic(
            stored.events, of_days, kept(added), removed, left, erased, _group_count(of_days), _group_count(fresh)
        )

    def _fresh(self, judging: DayJudging, progress: Progress) -> DataFrame:
        """Return what the policy says of the days, as many at once as a run judges."""
        guard = self._guard(judging)
        pieces = DayRows(judging.stored, TrafficOfDays(judging.outcomes, ends_of(judging.before)))
        found = []
        for piece in pieces.pieces(judging.now.keys(), EVENTS_AT_ONCE):
            progress(
                "judge", f"the traffic of {len(piece)} of {counted(len(judging.now), 'day')}, from {min(piece)} on"
            )
            of_piece = replace(judging, now={day: judging.now[day] for day in piece})
            found.append(of_piece.judged(self.rules, self.catalogue, guard)[0])
        return reduce(DataFrame.unionByName, found)

    def _guard(self, judging: DayJudging) -> TrafficGuard:
        days = frozenset(judging.now)
        history = days_of_history(days, judging.before)
        shares = stored_shares(self._read(TALLY), judging.outcomes, history, self.rules.sentences) if history else {}
        return TrafficGuard(days, shares)

    def _read(self, table: str) -> DataFrame:
        return IcebergTables(self.spark).at(table, self.version.snapshots[table])


@dataclass(frozen=True)
class SparkTriedTraffic:
    """What a policy makes of the events of a version; see billing's port `TriedTraffic`."""

    events: DataFrame
    """As stored."""
    outcomes: DataFrame
    """The stored ones of the days."""
    added: Kept
    """The changed events as they become."""
    removed: Kept
    """And as they are stored."""
    days: frozenset[date]
    erased_days: frozenset[date]
    groups_now: int
    groups_proposed: int

    def pieces(self, attribution: AttributionRows) -> Iterator[SettledPiece]:
        """Yield the period's events; see the port."""
        outcomes = with_outcomes(self.judged_events(), attribution.period)
        return unpacked(streamed(pieces_of(outcomes, attribution)))

    def judged_events(self) -> DataFrame:
        """Return all events of the version as they would be."""
        same = self.events.join(self.removed.joinable(*PLACE), PLACE, "left_anti")
        return same.unionByName(self.added.rows.select(*same.columns))

    def moved(self, expired: Collection[TrafficGroup]) -> Iterator[MovedViews]:
        """Yield the events that become something else; see the port."""
        now = self.removed.rows.select(*PLACE, _state().alias("now"))
        proposed = self.added.rows.select(*PLACE, "event_day", "video_id", "country", _state().alias("proposed"))
        moved = now.join(proposed, PLACE).where("now <> proposed")
        by = ("event_day", "now", "proposed", "decided", "video_id", "country")
        counts = moved.join(self._decided(expired), PLACE, "left").withColumn(
            "decided", F.coalesce("decided", F.lit(""))
        )
        return (MovedViews(*row) for row in streamed(counts.groupBy(*by).count().orderBy(*by)))

    def _decided(self, expired: Collection[TrafficGroup]) -> DataFrame:
        """Return the places of events that people decided on, with what they decided.

        Of the groups of a payee, day and reason the table does not tell the events apart. So of those that were
        released, none counts if one of their groups expired.
        """
        rows = self.outcomes.where(is_outcome(DECIDED_OUTCOMES))
        keys = sorted({(each.day, each.reason, each.payee_id) for each in expired})
        nobodys = self.outcomes.sparkSession.createDataFrame(keys, "event_day date, reason string, payee_id string")
        by_people = rows.withColumn("payee_id", F.coalesce("payee_id", F.lit(""))).join(
            F.broadcast(nobodys.withColumn("outcome", F.lit(TrafficOutcome.RELEASED.value))),
            [*_GROUP, "outcome"],
            "left_anti",
        )
        return by_people.select(*PLACE, F.col("outcome").alias("decided"))


def _with_given(by_rules: DataFrame, stored: DataFrame) -> DataFrame:
    of_period = stored.where(is_of_period())
    of_day = by_rules.join(of_period.select(*PLACE), PLACE, "left_anti")
    known = stored.where(is_outcome(DECIDED_OUTCOMES)).select(*PLACE, F.col("outcome").alias("decided"))
    is_asked = is_outcome((TrafficOutcome.REVIEW,)) & F.col("decided").isNotNull()
    outcome = F.when(is_asked, F.col("decided")).otherwise(F.col("outcome"))
    judged = of_day.join(known, PLACE, "left").withColumn("outcome", outcome).drop("decided")
    return judged.unionByName(of_period.select(*judged.columns))


def _group_count(outcomes: DataFrame) -> int:
    return outcomes.where(is_outcome((TrafficOutcome.REVIEW,))).select(*_GROUP).distinct().count()


def _state() -> Column:
    return (
        F.when(F.col("verdict") == Verdict.INVALID_TRAFFIC.value, TrafficState.WITHHELD.value)
        .when(F.col("billability") == Billability.UNDER_REVIEW.value, TrafficState.UNDER_REVIEW.value)
        .when(F.col("billability") == Billability.BILLABLE.value, TrafficState.PAID.value)
        .otherwise(TrafficState.UNPAID.value)
    )
