"""Judge by delta: from the new events, find them their verdicts and the stored rows whose outcome they change.

Of the stored rows only the narrow columns are read by which ids and viewers are found, and whole rows where one
matches. The outcome of every event stays what `ingestion.contract.counting.settle` says over the whole log.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.recomputed_days import days_in_reach
from batch_layer.judging.spark_accepted import filed_under_own_day
from batch_layer.judging.spark_billability import judge_alone, with_cap
from batch_layer.judging.spark_cap import CAPPED, CapChanges, CapRules, capped
from batch_layer.judging.spark_decode import COLUMNS, PERSON
from batch_layer.judging.spark_traffic import TrafficOfDays
from batch_layer.judging.spark_verdicts import CANDIDATES, first_verdict, repeat_verdicts, with_verdicts
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, POSITION, days_of, known_keys, matching, on_days
from ingestion.contract.counting import Verdict
from ingestion.contract.day_traffic import INVALID_OUTCOMES
from ingestion.contract.policy import CountingPolicy

COMPARED = ("event_id", "id_hash", "event_day", "happened_at", "payload_digest", "appended_at", *PLACE)


@dataclass(frozen=True)
class Stored:
    """What a branch holds before the new events are added."""

    events: DataFrame
    viewers: DataFrame
    days: frozenset[date]
    """The event days of both."""


@dataclass(frozen=True)
class Rules:
    """What events are judged by."""

    policies: Mapping[date, CountingPolicy]
    """The policy of every event day, stored or new."""
    touched: Collection[date]
    """The event days of the events to be judged."""
    facts: DataFrame
    """The table of the catalogue's facts, as the run has changed it."""
    changed_videos: Kept
    """The videos whose facts are others than those that their stored events were judged by: video_id."""
    traffic: TrafficOfDays
    """What the day rules say of the stored events."""


@dataclass(frozen=True)
class Judged:
    """The rows to append to the events, and the stored rows that some of them replace."""

    added: DataFrame
    """The columns of the events table, and `PERSON` for new and moved events; those of replacements are null."""
    removed: Kept
    """As they are stored, with their position."""
    catalogue_changed_count: int
    """Stored events whose billability or quartile changes because the catalogue did."""


def judge(stored: Stored, new: Kept, moved: Kept, rules: Rules) -> Judged:
    """Return what changes in the events table.

    `new` has the columns of `decode` and is read several times. `moved` are stored late events that a decision accepts,
    as stored, with their position and `PERSON`.
    """
    pool = new.rows.select(*COLUMNS, *PERSON)
    if moved.count:
        pool = pool.unionByName(filed_under_own_day(moved.rows).select(*COLUMNS, *PERSON))
    repeats, changed = _verdicts(stored, Kept(pool, new.count + moved.count), rules)
    policies = {day: rules.policies[day] for day in rules.touched}
    alone = judge_alone(with_verdicts(pool, repeats), policies, rules.facts)
    recatalogued = _recatalogued(stored, rules, changed)
    changed = _both(changed, recatalogued)
    cap = capped(
        stored.events,
        stored.viewers,
        stored.days,
        _fresh(alone),
        changed,
        CapRules(rules.policies, rules.traffic),
        touched=rules.touched,
    )
    judged_new = rules.traffic.pending(with_cap(alone, cap.dropped))
    added, removed = replacements(changed, cap, rules.traffic)
    if moved.count:
        removed.append(moved.rows.select(*removed_columns(stored)))
    for rows in added:
        judged_new = judged_new.unionByName(rows, allowMissingColumns=True)
    return Judged(judged_new, union(removed, stored), recatalogued.count)


def removed_columns(stored: Stored) -> list[str]:
    """Return the columns of a stored row with its position."""
    return [*stored.events.columns, *POSITION]


def _verdicts(stored: Stored, pool: Kept, rules: Rules) -> tuple[Kept, Kept]:
    """Return the repeats among all candidates, and the stored rows whose verdict they change.

    Stored candidates can only lose their verdict: a new event of their id may be the first one, but never takes
    another event away.
    """
    candidates = pool.rows.where("verdict IS NULL")
    days = days_in_reach(rules.touched, stored.days)
    near = on_days(stored.events, days).where(F.col("verdict").isin(*CANDIDATES))
    known = known_keys(near, "id_hash", Kept(candidates.select("id_hash"), pool.count))
    same = kept(matching(near, "id_hash", known))
    compared = candidates.select(*COMPARED)
    if same.count:
        compared = compared.unionByName(same.rows.select(*COMPARED))
    repeats = kept(repeat_verdicts(compared))
    if not same.count:
        return repeats, _unchanged(same)
    # rows further away are compared with days that were not read, and cannot change
    same_ids = kept(same.rows.select("event_id").distinct())
    new_days = candidates.select("event_id", F.col("event_day").alias("new_day")).distinct()
    reached = new_days.join(same_ids.joinable(), "event_id", "left_semi")
    is_near = F.abs(F.date_diff("event_day", "new_day")) <= 1
    own = same.rows.alias("stored")
    beside = own.join(reached.alias("new"), (F.col("stored.event_id") == F.col("new.event_id")) & is_near, "left_semi")
    now = F.coalesce("repeat_verdict", first_verdict())
    found = beside.join(repeats.joinable(), PLACE, "left").withColumn("now_verdict", now)
    changed = found.where("now_verdict <> verdict").drop("repeat_verdict")
    with_reasons = _without_day_reasons(changed, rules.traffic, days)
    return repeats, kept(with_reasons.withColumns(_not_counted()))


def _without_day_reasons(changed: DataFrame, traffic: TrafficOfDays, days: Collection[date]) -> DataFrame:
    """Return rows that lose their first place with `now_reasons`: the reason of a day rule goes with its verdict."""
    own = F.col("reasons")
    if not traffic.ends:
        return changed.withColumn("now_reasons", own)
    invalid = traffic.of(INVALID_OUTCOMES, days).withColumn("is_by_day", F.lit(True))
    was_by_day = F.col("is_by_day").isNotNull() & (F.col("verdict") == Verdict.INVALID_TRAFFIC.value)
    joined = changed.join(invalid, PLACE, "left")
    return joined.withColumn("now_reasons", F.when(~was_by_day, own)).drop("is_by_day")


def _unchanged(same: Kept) -> Kept:
    now = {"now_verdict": F.lit(None).cast("string"), "now_reasons": F.col("reasons"), **_not_counted()}
    return Kept(same.rows.where(F.lit(False)).withColumns(now), 0)


def _not_counted() -> dict[str, Column]:
    return {"now_alone": F.lit(None).cast("string"), "now_quartile": F.lit(None).cast("int")}


def _recatalogued(stored: Stored, rules: Rules, changed: Kept) -> Kept:
    """Return the stored counted rows whose billability before the cap, or quartile, is another by their video's facts.

    Events whose personal columns were erased keep their outcome.
    """
    if rules.changed_videos.count == 0:
        return Kept(changed.rows.where(F.lit(False)), 0)
    counted = stored.events.where("verdict = 'counted'")
    found = kept(matching(counted, "video_id", rules.changed_videos))
    persons = kept(matching(stored.viewers, "id_hash", kept(found.rows.select("id_hash").distinct())))
    rows = found.rows.join(persons.rows.select(*PLACE, "user_id"), PLACE)
    if changed.count:
        rows = rows.join(changed.joinable(*PLACE), PLACE, "left_anti")
    again = judge_alone(rows.drop("billability", "policy_version", "quartile"), rules.policies, rules.facts)
    before = F.when(F.col("billability").isin(*CAPPED), F.lit("billable")).otherwise(F.col("billability"))
    compared = again.withColumnsRenamed({"billability": "now_alone", "quartile": "now_quartile"}).join(
        found.rows.select(*PLACE, "billability", "quartile"), PLACE
    )
    is_other = (before != F.col("now_alone")) | ~F.col("quartile").eqNullSafe(F.col("now_quartile"))
    different = compared.where(is_other).withColumns({"now_verdict": F.col("verdict"), "now_reasons": F.col("reasons")})
    return kept(different.select(*changed.rows.columns))


def _fresh(alone: DataFrame) -> DataFrame:
    return alone.where("billability = 'billable'")


def _both(first: Kept, second: Kept) -> Kept:
    if not second.count:
        return first
    return Kept(first.rows.unionByName(second.rows), first.count + second.count)


def replacements(changed: Kept, cap: CapChanges, traffic: TrafficOfDays) -> tuple[list[DataFrame], list[DataFrame]]:
    """Return the stored rows as they become, and as they are.

    `changed` are stored rows with their position, `now_verdict`, `now_reasons`, `now_quartile` and, before the cap,
    `now_alone`.
    """
    added, removed = [], []
    if changed.count:
        now = {
            "now_verdict": "verdict",
            "now_reasons": "reasons",
            "now_alone": "billability",
            "now_quartile": "quartile",
        }
        after = with_cap(changed.rows.drop(*now.values()).withColumnsRenamed(now), cap.dropped)
        days = days_of(changed) if traffic.ends else frozenset()
        added.append(traffic.settled(after, days).drop(*POSITION))
        removed.append(changed.rows.drop(*now))
    if cap.changed.count:
        added.append(cap.changed.rows.drop("billability", *POSITION).withColumnRenamed("now_capped", "billability"))
        removed.append(cap.changed.rows.drop("now_capped"))
    return added, removed


def union(parts: Collection[DataFrame], stored: Stored) -> Kept:
    """Return stored rows with their position, computed."""
    columns = removed_columns(stored)
    found = None
    for rows in parts:
        found = rows.select(*columns) if found is None else found.unionByName(rows.select(*columns))
    if found is None:
        return Kept(stored.events.select("*", *POSITION).where(F.lit(False)), 0)
    return kept(found)
