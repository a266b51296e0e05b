"""Let the day rules of traffic judge event days: their input from the log, their outcomes, and the events that change.

The input of a day is a function of the log below its pinned end and of the pinned catalogue: the events of the day and
of the day before that would be counted if there were no day rules. So the outcomes of one day never decide about
another, and a rebuild gets the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.errors import RefusedError
from batch_layer.judging.recomputed_days import days_in_reach
from batch_layer.judging.spark_billability import judge_alone, policy_rows
from batch_layer.judging.spark_cap import CAPPED, CapRules, capped
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_judging import COMPARED, Stored, replacements, union
from batch_layer.judging.spark_traffic import PAID, TrafficOfDays, ends_frame, ends_of, is_beyond, is_outcome
from batch_layer.judging.spark_traffic_groups import decided_members
from batch_layer.judging.spark_traffic_guard import TrafficGuard, reviewed
from batch_layer.judging.spark_traffic_rules import TrafficRules
from batch_layer.judging.spark_traffic_videos import Videos, payees_on
from batch_layer.judging.spark_verdicts import CANDIDATES, repeat_verdicts
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, POSITION, matching, on_days, with_position
from ingestion.contract.counting import Verdict
from ingestion.contract.day_traffic import INVALID_OUTCOMES, TrafficOutcome
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.traits import Traits, have_one_key
from ingestion.contract.version import DayRules

_SENT = (
    "event_id",
    "event_day",
    "happened_at",
    "video_id",
    "view_duration",
    "revenue_eligible",
    "country",
    "device_type",
)
_PERSON = ("user_id", "session_id", *Traits._fields)
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

        `guard` looks at the days that are judged for the first time; None: by what is pinned for them. The `decided`
        outcomes prevail over the rules.
        """
        known = {each.seen.catalogue_version for each in self.now.values() if each.seen is not None}
        videos = {version: Videos.of(catalogue, version) for version in known}
        found = {day: self._judged(day, each, rules, videos, guard) for day, each in sorted(self.now.items())}
        by_rules = reduce(DataFrame.unionByName, (rows for rows, _ in found.values()))
        prevailing = on_days(decided, self.now).select(*by_rules.columns)
        fresh = by_rules.join(prevailing.select(*PLACE), PLACE, "left_anti").unionByName(prevailing)
        changes = self._compared(with_position(on_days(self.outcomes, self.now)), fresh)
        return replace(changes, reviewed={day: reasons for day, (_, reasons) in found.items()})

    def decided_changes(self, decisions: Collection[TrafficDecision]) -> OutcomeChanges:
        """Give the members of decided groups their outcome.

        `decisions` are about groups that are stored now.
        """
        members = kept(decided_members(with_position(on_days(self.outcomes, self.now)), decisions)).rows
        decided = members.drop("outcome").withColumnRenamed("decided", "outcome")
        return self._compared(members.drop("decided"), decided.select(*self.outcomes.columns))

    def _compared(self, stored: DataFrame, fresh: DataFrame) -> OutcomeChanges:
        before = stored.withColumn("before", F.struct(*_OUTCOME))
        now = fresh.select(*PLACE, F.col("event_day").alias("now_day"), F.struct(*_OUTCOME).alias("now"))
        changed = kept(before.join(now, PLACE, "full").where(~F.col("before").eqNullSafe(F.col("now"))))
        removed = changed.rows.where("before IS NOT NULL").select(*self.outcomes.columns, *POSITION)
        added = changed.rows.where("now IS NOT NULL").select(*PLACE, F.col("now_day").alias("event_day"), "now.*")
        places = changed.rows.select(*PLACE, "before", "now")
        return OutcomeChanges(kept(removed), kept(added), Kept(places, changed.count), {})

    def _judged(
        self,
        day: date,
        judged_by: DayRules,
        rules: TrafficRules,
        videos: Mapping[int, Videos],
        guard: TrafficGuard | None,
    ) -> tuple[DataFrame, tuple[str, ...]]:
        if rules.outcomes is None or judged_by.traffic_policy_version not in {each.version for each in rules.policies}:
            raise RefusedError(
                f"version {judged_by.traffic_policy_version} of the traffic policy judges {day}, and this program does "
                "not know it; use the program that published it, or a newer one"
            )
        if judged_by.seen is None:
            raise ValueError(f"{day} is to be judged without an end")
        rows = self.rows(day, judged_by.seen.end, videos[judged_by.seen.catalogue_version]).persist()
        given = rules.outcomes(rows, day, judged_by.traffic_policy_version)
        found = kept(given.join(rows.select(*PLACE, "payee_id"), PLACE)).rows
        reasons = judged_by.seen.reviewed
        if guard is not None and self.before[day].seen is None:
            reasons = guard.reasons(day, rows, found)
        rows.unpersist()
        return reviewed(found, reasons).select(*PLACE, "event_day", *_OUTCOME), reasons

    def rows(self, day: date, end: OffsetVector, videos: Videos) -> DataFrame:
        """Return what the rules of a day see; an event whose personal columns were erased has none."""
        days = (day - timedelta(days=1), day)
        persons = comparable(on_days(self.stored.viewers, days), day).select(*PLACE, *_PERSON)
        events = self._would_be_counted(day, end)
        return (
            events.select(*PLACE, *_SENT, F.coalesce(F.size("ad_types"), F.lit(0)).alias("ad_count"))
            .join(persons, PLACE, "left")
            .withColumn("ad_seconds", F.coalesce("ad_seconds", F.lit(0)))
            .join(videos.lengths, "video_id", "left")
            .join(payees_on(videos.owners, days), ["video_id", "event_day"], "left")
        )

    def _would_be_counted(self, day: date, end: OffsetVector) -> DataFrame:
        """Return the events of a day and the day before that would be counted below `end` without day rules.

        An event that lost its first place to one beyond `end` had it then.
        """
        near = days_in_reach([day], self.stored.days)
        events = on_days(self.stored.events, near).where(F.col("verdict").isin(*CANDIDATES))
        ends = ends_frame(events.sparkSession, dict.fromkeys(near, end), "day_end")
        placed = events.join(ends, "event_day", "left").withColumn("is_beyond", is_beyond("day_end")).drop("day_end")
        days = (day - timedelta(days=1), day)
        seen = placed.where(~F.col("is_beyond"))
        invalid = self._traffic.of(INVALID_OUTCOMES, days).withColumn("is_by_day", F.lit(True))
        by_day = on_days(seen, days).join(invalid, PLACE, "left")
        is_counted = (F.col("verdict") == _COUNTED) | ((F.col("verdict") == _INVALID) & F.col("is_by_day"))
        first = by_day.where(is_counted).drop("is_by_day")
        beyond = kept(placed.where("is_beyond").select("event_id").distinct())
        if not beyond.count:
            return first
        same = seen.join(beyond.joinable(), "event_id", "left_semi")
        repeats = kept(repeat_verdicts(same.select(*COMPARED)))
        # where anything lies beyond an end the branch is counted without day rules: every reason is a general one
        then_first = on_days(same, days).where("reasons IS NULL").join(repeats.joinable(*PLACE), PLACE, "left_anti")
        return first.join(beyond.joinable(), "event_id", "left_anti").unionByName(then_first)

    @property
    def _traffic(self) -> TrafficOfDays:
        return TrafficOfDays(self.outcomes, ends_of(self.before))

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
        cap = capped(self.stored.events, self.stored.viewers, self.stored.days, fresh, changed, of_cap)
        added, removed = replacements(changed, cap, traffic)
        none = self.stored.events.where(F.lit(False))
        return reduce(DataFrame.unionByName, added, none), union(removed, self.stored)

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
            .drop("verdict", "billability", "policy_version")
            .withColumnRenamed("verdict_now", "verdict"),
            policy_rows(now.sparkSession, rules.policies),
            rules.facts,
        ).select(*PLACE, F.col("billability").alias("alone"))
        own = F.when(F.col("billability").isin(*CAPPED), "billable").otherwise(F.col("billability"))
        joined = now.join(alone, PLACE, "left")
        now_alone = F.when(F.col("now_verdict") == _COUNTED, F.coalesce("alone", own))
        return kept(joined.withColumn("now_alone", now_alone).drop("alone"))


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


def comparable(persons: DataFrame, day: date) -> DataFrame:
    """Return the personal columns of a day and the day before, without hashes of the day before by another key.

    An equal network or agent would look like two, and one person like somebody who moves.
    """
    if have_one_key(day, day - timedelta(days=1)):
        return persons
    is_of_day = F.col("event_day") == F.lit(day)
    return persons.withColumns({name: F.when(is_of_day, F.col(name)) for name in ("network", "agent")})
