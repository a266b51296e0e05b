"""Apply the cap per viewer to new and changed views, and to the stored views of the same viewers that they affect."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.recomputed_days import days_after, days_before
from batch_layer.judging.spark_billability import over_cap
from batch_layer.judging.spark_traffic import PAID, TrafficOfDays
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, days_of, matching, on_days
from ingestion.contract.policy import CountingPolicy

CAPPED = (*PAID, "over_cap")
"""The billabilities of views that are billable but for the cap."""
_VIEW = (*PLACE, "user_id", "video_id", "event_id", "happened_at", "event_day")


@dataclass(frozen=True)
class CapRules:
    """What decides beside the views themselves."""

    policies: Mapping[date, CountingPolicy]
    """The policy of every event day, stored or new."""
    traffic: TrafficOfDays


@dataclass(frozen=True)
class CapChanges:
    """What the cap decides."""

    dropped: Kept
    """The places of new, changed and stored views over the cap, among those that were judged."""
    changed: Kept
    """Stored rows whose billability the cap changes, with `now_capped`; none that had changed before."""


def capped(
    events: DataFrame,
    viewers: DataFrame,
    days: frozenset[date],
    fresh: DataFrame,
    changed: Kept,
    rules: CapRules,
    *,
    touched: Collection[date],
) -> CapChanges:
    """Judge the views of every viewer and video whose billable views change.

    `fresh` are new events that are billable but for the cap, with user_id and viewer_hash, on the days `touched`;
    `changed` are stored rows with `now_alone`, their billability before the cap.
    A change can affect the day after it, whose changes can affect the next: days are added until none can.
    """
    given = _Given(events, viewers, days, _lean(fresh), changed, rules)
    pairs = given.changed_pairs()
    judged = frozenset(touched) | days_of(changed)
    judged |= days_after(judged, days)
    while True:
        found = given.judge(judged, pairs)
        border = {day for day in judged if days_after([day], days) - judged}
        more = days_of(found.changed) & border
        if not more:
            return found
        judged |= days_after(more, days)


def _lean(fresh: DataFrame) -> Kept:
    return kept(fresh.select(*_VIEW, "viewer_hash"))


@dataclass(frozen=True)
class _Given:
    events: DataFrame
    viewers: DataFrame
    days: frozenset[date]
    fresh: Kept
    changed: Kept
    rules: CapRules

    def changed_pairs(self) -> Kept:
        """Return the viewer_hash of all views that are or were billable but for the cap, and changed."""
        views = self.fresh.rows.select("viewer_hash")
        if not self.changed.count:
            return Kept(views, self.fresh.count)
        # in order of evaluation null: a row that was never billable does not matter
        was_or_is = F.col("billability").isin(*CAPPED) | (F.col("now_alone") == "billable")
        changed = self._with_viewer(self.changed.rows.where(was_or_is)).select("viewer_hash")
        return Kept(views.unionByName(changed), self.fresh.count + self.changed.count)

    def judge(self, judged: frozenset[date], pairs: Kept) -> CapChanges:
        """Judge the views of the viewers `pairs` on the days `judged`; others of theirs are taken as they are."""
        context = days_before(judged, self.days)
        viewers = on_days(self.viewers, (judged & self.days) | context)
        places = viewers.select("viewer_hash", "id_hash", *PLACE)
        seen = kept(places.join(pairs.joinable(), "viewer_hash", "left_semi"))
        often = self._often(seen)
        if not often.count:
            return self._nothing()
        again = kept(seen.rows.join(often.joinable(), "viewer_hash", "left_semi"))
        stored = self._stored(again, (judged & self.days) | context)
        is_judged = F.col("event_day").isin(sorted(judged))
        fresh = self.fresh.rows.join(often.joinable(), "viewer_hash", "left_semi").select(*_VIEW)
        views = fresh.unionByName(stored.rows.where(is_judged).select(*_VIEW))
        if self.changed.count:
            billable = self._with_viewer(self.changed.rows.where("now_alone = 'billable'"))
            views = views.unionByName(billable.select(*_VIEW))
        paid_before = stored.rows.where(~is_judged & F.col("billability").isin(*PAID)).select(*_VIEW)
        dropped = kept(over_cap(views, paid_before, self.rules.policies))
        return CapChanges(dropped, self._changes(stored.rows.where(is_judged), judged, dropped))

    def _often(self, seen: Kept) -> Kept:
        """Return the viewers that have more views than the cap in all days read; others cannot exceed it."""
        cap = min((policy.billable_per_viewer_max for policy in self.rules.policies.values()), default=0)
        hashes = seen.rows.select("viewer_hash").unionByName(self.fresh.rows.select("viewer_hash"))
        return kept(hashes.groupBy("viewer_hash").count().where(F.col("count") > cap).select("viewer_hash"))

    def _stored(self, places: Kept, days: frozenset[date]) -> Kept:
        """Return the stored rows at these places that are billable but for the cap, unless they changed."""
        ids = kept(places.rows.select("id_hash").distinct())
        rows = matching(on_days(self.events, days).where(F.col("billability").isin(*CAPPED)), "id_hash", ids)
        rows = rows.join(places.joinable(*PLACE), PLACE, "left_semi")
        if self.changed.count:
            rows = rows.join(self.changed.joinable(*PLACE), PLACE, "left_anti")
        persons = matching(on_days(self.viewers, days), "id_hash", ids).select(*PLACE, "user_id")
        return kept(rows.join(persons, PLACE))

    def _with_viewer(self, rows: DataFrame) -> DataFrame:
        found = kept(rows)
        ids = kept(found.rows.select("id_hash").distinct())
        persons = matching(self.viewers, "id_hash", ids).select(*PLACE, "user_id", "viewer_hash")
        return found.rows.join(persons, PLACE)

    def _changes(self, stored: DataFrame, days: frozenset[date], dropped: Kept) -> Kept:
        marked = dropped.joinable().withColumn("is_over_cap", F.lit(True))
        now = F.when(F.col("is_over_cap"), F.lit("over_cap")).otherwise(F.lit("billable"))
        found = stored.join(marked, PLACE, "left").withColumn("now_capped", now).drop("is_over_cap", "user_id")
        settled = self.rules.traffic.settled(found, days, "now_capped")
        return kept(settled.where("now_capped <> billability"))

    def _nothing(self) -> CapChanges:
        places = self.fresh.rows.select(*PLACE).where(F.lit(False))
        none: Column = F.lit(None).cast("string")
        stored = self.events.select("*", "_file", "_pos").where(F.lit(False)).withColumn("now_capped", none)
        return CapChanges(Kept(places, 0), Kept(stored, 0))
