"""Judge by delta: from the new events, find them their verdicts and the stored rows whose outcome they change.

Of the stored rows only the narrow columns are read by which ids and viewers are found, and whole rows where one
matches. The outcome of every event stays what `ingestion.contract.counting.settle` says over the whole log.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.recomputed_days import days_in_reach
from batch_layer.judging.spark_accepted import filed_under_own_day
from batch_layer.judging.spark_billability import judge_alone, policy_rows, with_cap
from batch_layer.judging.spark_cap import CAPPED, CapChanges, capped
from batch_layer.judging.spark_decode import COLUMNS, PERSON
from batch_layer.judging.spark_verdicts import CANDIDATES, first_verdict, repeat_verdicts, with_verdicts
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import POSITION, known_keys, matching, on_days
from ingestion.contract.policy import CountingPolicy

PLACE = ("partition", "offset")
_COMPARED = ("event_id", "id_hash", "event_day", "happened_at", "payload_digest", "appended_at", *PLACE)


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


@dataclass(frozen=True)
class Judged:
    """The rows to append to the events, and the stored rows that some of them replace."""

    added: DataFrame
    """The columns of the events table, and `PERSON` for new and moved events; those of replacements are null."""
    removed: Kept
    """As they are stored, with their position."""
    catalogue_changed_count: int
    """Stored events whose billability changes because the catalogue did."""


def judge(stored: Stored, new: DataFrame, moved: Kept, rules: Rules) -> Judged:
    """Return what changes in the events table.

    `new` has the columns of `decode`; `moved` are stored late events that a decision accepts, as stored, with their
    position and `PERSON`.
    """
    spark = new.sparkSession
    pool = new.select(*COLUMNS, *PERSON)
    if moved.count:
        pool = pool.unionByName(filed_under_own_day(moved.rows).select(*COLUMNS, *PERSON))
    policies = policy_rows(spark, rules.policies)
    repeats, changed = _verdicts(stored, pool, rules.touched)
    alone = judge_alone(with_verdicts(pool, repeats), policies, rules.facts)
    recatalogued = _recatalogued(stored, rules, policies, changed)
    changed = _both(changed, recatalogued)
    cap = capped(stored.events, stored.viewers, stored.days, _fresh(alone), changed, rules.policies)
    judged_new = with_cap(alone, cap.dropped)
    added, removed = _replacements(changed, cap)
    if moved.count:
        removed.append(moved.rows.select(*removed_columns(stored)))
    for rows in added:
        judged_new = judged_new.unionByName(rows, allowMissingColumns=True)
    return Judged(judged_new, _union(removed, stored), recatalogued.count)


def removed_columns(stored: Stored) -> list[str]:
    """Return the columns of a stored row with its position."""
    return [*stored.events.columns, *POSITION]


def _verdicts(stored: Stored, pool: DataFrame, days: Collection[date]) -> tuple[Kept, Kept]:
    """Return the repeats among all candidates, and the stored rows whose verdict they change.

    Stored candidates can only lose their verdict: a new event of their id may be the first one, but never takes
    another event away.
    """
    candidates = pool.where("verdict IS NULL")
    near = on_days(stored.events, days_in_reach(days, stored.days)).where(F.col("verdict").isin(*CANDIDATES))
    known = known_keys(near, "id_hash", kept(candidates.select("id_hash").distinct()))
    same = kept(matching(near, "id_hash", known))
    compared = candidates.select(*_COMPARED)
    if same.count:
        compared = compared.unionByName(same.rows.select(*_COMPARED))
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
    found = beside.join(repeats.joinable(), [*PLACE], "left").withColumn("now_verdict", now)
    changed = found.where("now_verdict <> verdict").drop("repeat_verdict")
    return repeats, kept(changed.withColumn("now_alone", F.lit(None).cast("string")))


def _unchanged(same: Kept) -> Kept:
    nothing = F.lit(None).cast("string")
    return Kept(same.rows.where(F.lit(False)).withColumns({"now_verdict": nothing, "now_alone": nothing}), 0)


def _recatalogued(stored: Stored, rules: Rules, policies: DataFrame, changed: Kept) -> Kept:
    """Return the stored counted rows whose billability before the cap is another by the new facts of their video.

    Events whose personal columns were erased keep their outcome.
    """
    if rules.changed_videos.count == 0:
        return Kept(changed.rows.where(F.lit(False)), 0)
    counted = stored.events.where("verdict = 'counted'")
    found = kept(matching(counted, "video_id", rules.changed_videos))
    persons = kept(matching(stored.viewers, "id_hash", kept(found.rows.select("id_hash").distinct())))
    rows = found.rows.join(persons.rows.select(*PLACE, "user_id"), [*PLACE])
    if changed.count:
        rows = rows.join(changed.joinable(*PLACE), [*PLACE], "left_anti")
    again = judge_alone(rows.drop("billability", "policy_version"), policies, rules.facts)
    before = F.when(F.col("before").isin(*CAPPED), F.lit("billable")).otherwise(F.col("before"))
    compared = again.withColumnRenamed("billability", "now_alone").join(
        found.rows.select(*PLACE, F.col("billability").alias("before")), [*PLACE]
    )
    different = compared.where(before != F.col("now_alone")).withColumn("now_verdict", F.col("verdict"))
    return kept(different.withColumnRenamed("before", "billability").select(*changed.rows.columns))


def _fresh(alone: DataFrame) -> DataFrame:
    return alone.where("billability = 'billable'")


def _both(first: Kept, second: Kept) -> Kept:
    if not second.count:
        return first
    return Kept(first.rows.unionByName(second.rows), first.count + second.count)


def _replacements(changed: Kept, cap: CapChanges) -> tuple[list[DataFrame], list[DataFrame]]:
    """Return the stored rows as they become, and as they are."""
    added, removed = [], []
    if changed.count:
        after = with_cap(
            changed.rows.drop("verdict", "billability").withColumnsRenamed(
                {"now_verdict": "verdict", "now_alone": "billability"}
            ),
            cap.dropped,
        )
        added.append(after.drop(*POSITION))
        removed.append(changed.rows.drop("now_verdict", "now_alone"))
    if cap.changed.count:
        added.append(cap.changed.rows.drop("billability", *POSITION).withColumnRenamed("now_capped", "billability"))
        removed.append(cap.changed.rows.drop("now_capped"))
    return added, removed


def _union(parts: Collection[DataFrame], stored: Stored) -> Kept:
    columns = removed_columns(stored)
    found = None
    for rows in parts:
        found = rows.select(*columns) if found is None else found.unionByName(rows.select(*columns))
    if found is None:
        return Kept(stored.events.select("*", *POSITION).where(F.lit(False)), 0)
    return kept(found)
