"""Let the day rules of traffic judge event days: their outcomes, and the events that change."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_billability import judge_alone
from batch_layer.judging.spark_cap import CAPPED, CapRules, capped
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_day_rows import JUDGED_DAY, DayRows, Videos
from batch_layer.judging.spark_judging import Stored, replacements, union
from batch_layer.judging.spark_traffic import PAID, TrafficOfDays, ends_frame, ends_of, is_beyond, is_outcome
from batch_layer.judging.spark_traffic_groups import decided_members
from batch_layer.judging.spark_traffic_guard import TrafficGuard, reviewed
from batch_layer.judging.traffic_rules import TrafficRules
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, POSITION, matching, on_days, with_position
from ingestion.contract.counting import Verdict
from ingestion.contract.day_traffic import INVALID_OUTCOMES, TrafficOutcome
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.version import DayRules

EVENTS_AT_ONCE = 4_000_000
"""About as many rows are judged in one plan: they wait in memory, or on Spark's own disk, until it ends."""
_OUTCOME = ("payee_id", "outcome", "reason", "points")
_COUNTED, _INVALID = Verdict.COUNTED.value, Verdict.INVALID_TRAFFIC.value


@dataclass(frozen=True)
class OutcomeChanges:
    """The outcomes of some days that differ from the stored ones."""

    removed: Kept
    """As stored, with their position."""
    added: Kept
    places: Kept
    """The place of each, with the structs `before` and `now`, either of which may be null."""
    reviewed: Mapping[date, tuple[str, ...]]
    """The reasons of each day that are no more than a review."""


@dataclass(frozen=True)
class DayJudging:
    """Days to be judged, on the events of a branch."""

    stored: Stored
    outcomes: DataFrame
    """The stored outcomes."""
    before: Mapping[date, DayRules]
    """The rules of each day until now."""
    now: Mapping[date, DayRules]
    """The rules of the days to be judged, with what their day rules see."""

    def outcome_changes(
        self, rules: TrafficRules, catalogue: CatalogueFacts, guard: TrafficGuard | None, decided: DataFrame
    ) -> OutcomeChanges:
        """Let the rules judge the days, and compare what they say with what is stored.

        The `decided` outcomes prevail over the rules; `guard`: see `judged`.
        """
        by_rules, reviewed_by_day = self.judged(rules, catalogue, guard)
        prevailing = on_days(decided, self.now).select(*by_rules.columns)
        fresh = by_rules.join(prevailing.select(*PLACE), PLACE, "left_anti").unionByName(prevailing)
        return replace(self.compared(fresh), reviewed=reviewed_by_day)

    def decided_changes(self, decisions: Collection[TrafficDecision]) -> OutcomeChanges:
        """Give the members of decided groups their outcome.

        `decisions` are about groups that are stored now.
        """
        members = kept(decided_members(with_position(on_days(self.outcomes, self.now)), decisions)).rows
        decided = members.drop("outcome").withColumnRenamed("decided", "outcome")
        return self._compared(members.drop("decided"), decided.select(*self.outcomes.columns))

    def found_changes(self, found: DataFrame) -> OutcomeChanges:
        """Add outcomes to events that have none."""
        nothing = with_position(on_days(self.outcomes, self.now)).where(F.lit(False))
        return self._compared(nothing, found.select(*self.outcomes.columns))

    def compared(self, fresh: DataFrame) -> OutcomeChanges:
        """Compare all outcomes of the days with the stored ones."""
        return self._compared(with_position(on_days(self.outcomes, self.now)), fresh)

    def _compared(self, stored: DataFrame, fresh: DataFrame) -> OutcomeChanges:
        before = stored.withColumn("before", F.struct(*_OUTCOME))
        now = fresh.select(*PLACE, F.col("event_day").alias("now_day"), F.struct(*_OUTCOME).alias("now"))
        changed = kept(before.join(now, PLACE, "full").where(~F.col("before").eqNullSafe(F.col("now"))))
        removed = changed.rows.where("before IS NOT NULL").select(*self.outcomes.columns, *POSITION)
        added = changed.rows.where("now IS NOT NULL").select(*PLACE, F.col("now_day").alias("event_day"), "now.*")
        places = changed.rows.select(*PLACE, "before", "now")
        return OutcomeChanges(kept(removed), kept(added), Kept(places, changed.count), {})

    def judged(
        self, rules: TrafficRules, catalogue: CatalogueFacts, guard: TrafficGuard | None
    ) -> tuple[DataFrame, dict[date, tuple[str, ...]]]:
        """Return what the rules say of the days, and the reasons of each day that are no more than a review.

        `guard` finds these reasons for its own days; others, or all days without a guard, have those that are pinned.
        Judging a day costs more for its plan than for its rows, so one plan judges as many days as fit.
        """
        seen = {day: each.seen for day, each in self.now.items() if each.seen is not None}
        videos = {number: Videos.of(catalogue, number) for number in {each.catalogue_version for each in seen.values()}}
        source = DayRows(self.stored, TrafficOfDays(self.outcomes, ends_of(self.before)))
        reasons = {day: each.reviewed for day, each in seen.items()}
        found: list[DataFrame] = []
        for policy, days in self._by_policy(rules).items():
            for piece in source.pieces(days, EVENTS_AT_ONCE):
                rows = source.rows({day: seen[day] for day in piece}, videos).persist()
                of_days = rows.where(f"event_day = {JUDGED_DAY}").select(*PLACE, "event_day", "payee_id")
                outcomes = kept(rules.outcomes(rows, policy).join(of_days.drop("event_day"), PLACE)).rows
                if guard is not None and (guarded := guard.days.intersection(piece)):
                    reasons |= guard.reasons(guarded, of_days, outcomes)
                rows.unpersist()
                found.append(reviewed(outcomes, reasons).select(*PLACE, "event_day", *_OUTCOME))
        return reduce(DataFrame.unionByName, found), reasons

    def _by_policy(self, rules: TrafficRules) -> dict[int, list[date]]:
        if unseen := sorted(day for day, each in self.now.items() if each.seen is None):
            raise ValueError(f"{unseen[0]} is to be judged without an end")
        return {policy.version: days for policy, days in rules.by_policy(self.now).items()}

    def event_changes(
        self, changes: OutcomeChanges, outcomes: DataFrame, rules: "EventRules"
    ) -> tuple[DataFrame, Kept]:
        """Return the events of the days as they become, and as they are stored, with those whose cap they change.

        `outcomes` is the table with the changes.
        """
        traffic = TrafficOfDays(outcomes, ends_of({**self.before, **self.now}))
        changed = self._changed(changes, traffic.ends, rules)
        nobody = {"user_id": F.lit(None).cast("string"), "viewer_hash": F.lit(None).cast("bigint")}
        fresh = self.stored.events.where(F.lit(False)).withColumns(nobody)
        of_cap = CapRules(rules.policies, traffic)
        cap = capped(self.stored.events, self.stored.viewers, self.stored.days, fresh, changed, of_cap, touched=())
        added, removed = replacements(changed, cap, traffic)
        no_rows = self.stored.events.where(F.lit(False))
        return reduce(DataFrame.unionByName, added, no_rows), union(removed, self.stored)

    def _changed(self, changes: OutcomeChanges, ends: Mapping[date, OffsetVector], rules: "EventRules") -> Kept:
        """Return the stored rows of the days that have another verdict, reason or billability by their traffic."""
        spark = self.stored.events.sparkSession
        days = self.now.keys()
        former = {day: end for day, end in ends_of(self.before).items() if day in days}
        events = with_position(on_days(self.stored.events, days)).where(F.col("verdict").isin(_COUNTED, _INVALID))
        compared = (
            events.join(ends_frame(spark, former, "former_ends"), "event_day", "left")
            .join(ends_frame(spark, {day: ends[day] for day in days}, "ends"), "event_day", "left")
            .join(changes.places.joinable(), PLACE, "left")
        )
        was_by_day = (F.col("verdict") == _INVALID) & _is_invalid("before")
        is_beyond_now, was_beyond = is_beyond("ends"), is_beyond("former_ends")
        is_by_traffic = F.col("before").isNotNull() | F.col("now").isNotNull() | (is_beyond_now != was_beyond)
        touched = compared.where(is_by_traffic & ((F.col("verdict") == _COUNTED) | was_by_day))
        effects = touched.withColumns(
            {"was_effect": _effect("before", was_beyond), "now_effect": _effect("now", is_beyond_now)}
        )
        # a view that is not billable anyway changes only by its verdict
        is_changed = F.col("billability").isin(*PAID) | was_by_day | _is_invalid("now")
        different = effects.where(F.col("was_effect") != F.col("now_effect")).where(is_changed)
        different = different.drop("former_ends", "ends", "was_effect", "now_effect")
        return self._with_now(kept(different), rules)

    def _with_now(self, different: Kept, rules: "EventRules") -> Kept:
        is_invalid = F.coalesce(_is_invalid("now"), F.lit(False))
        sentence = F.lit(None).cast("string")
        for code, text in rules.sentences.items():
            sentence = F.when(F.col("now.reason") == code, text).otherwise(sentence)
        reason = F.struct(F.col("now.reason").alias("code"), F.coalesce(sentence, F.col("now.reason")).alias("detail"))
        now = different.rows.withColumns(
            {
                "now_verdict": F.when(is_invalid, _INVALID).otherwise(_COUNTED),
                "now_reasons": F.when(is_invalid, F.array(reason)),
            }
        ).drop("before", "now")
        counted = now.where("now_verdict = 'counted'")
        again = counted.where("verdict <> 'counted'")
        persons = matching(self.stored.viewers, "id_hash", kept(again.select("id_hash").distinct()))
        alone = judge_alone(
            again.join(persons.select(*PLACE, "user_id"), PLACE, "left")
            .withColumnRenamed("now_verdict", "verdict_now")
            .drop("verdict", "billability", "policy_version", "quartile")
            .withColumnRenamed("verdict_now", "verdict"),
            rules.policies,
            rules.facts,
        ).select(*PLACE, F.col("billability").alias("alone"), F.col("quartile").alias("quartile_now"))
        own = F.when(F.col("billability").isin(*CAPPED), "billable").otherwise(F.col("billability"))
        joined = now.join(alone, PLACE, "left")
        is_counted = F.col("now_verdict") == _COUNTED
        by_facts = {
            "now_alone": F.when(is_counted, F.coalesce("alone", own)),
            "now_quartile": F.when(is_counted, F.coalesce("quartile_now", "quartile")),
        }
        return kept(joined.withColumns(by_facts).drop("alone", "quartile_now"))


@dataclass(frozen=True)
class EventRules:
    """What decides about events whose traffic was judged."""

    policies: Mapping[date, CountingPolicy]
    """The counting policy of every event day."""
    facts: DataFrame
    """The table of the catalogue's facts."""
    sentences: Mapping[str, str]


def _is_invalid(outcome: str) -> Column:
    return is_outcome(INVALID_OUTCOMES, f"{outcome}.outcome")


def _effect(outcome: str, beyond: Column) -> Column:
    """Return what the traffic of an event does to it, as text."""
    return (
        F.when(_is_invalid(outcome), F.col(f"{outcome}.reason"))
        .when(F.col(f"{outcome}.outcome") == TrafficOutcome.REVIEW.value, " review")
        .when(beyond, " pending")
        .otherwise(" none")
    )
