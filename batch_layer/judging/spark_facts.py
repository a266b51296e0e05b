"""The catalogue's facts as a table: what changed since the last run, video by video; and the policy of each day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import with_position
from ingestion.contract.policy import CountingPolicy, policy_on
from ingestion.contract.version import DayRules

_FACTS = ("length_seconds", "own_viewers")


@dataclass(frozen=True)
class FactChanges:
    """The changed rows of the table of facts."""

    removed: Kept
    """As stored, with their position."""
    added: Kept
    videos: Kept
    """Every video whose facts changed, appeared or are unknown now."""


def changed_facts(stored: DataFrame, facts: DataFrame, catalogue_version: int) -> FactChanges:
    """Compare the stored facts with those of a newer catalogue version."""
    now = facts.select("video_id", F.struct(*_FACTS).alias("now"))
    both = with_position(stored).withColumn("before", F.struct(*_FACTS)).join(now, "video_id", "full")
    changed = kept(both.where(~F.col("before").eqNullSafe(F.col("now"))))
    removed = changed.rows.where("before IS NOT NULL").drop("before", "now")
    added = changed.rows.where("now IS NOT NULL").select(
        "video_id", "now.*", F.lit(catalogue_version).cast("bigint").alias("since_version")
    )
    return FactChanges(kept(removed), kept(added), Kept(changed.rows.select("video_id"), changed.count))


def unchanged_facts(stored: DataFrame) -> FactChanges:
    """Return what changes while the catalogue does not."""
    none = stored.where(F.lit(False))
    return FactChanges(Kept(with_position(none), 0), Kept(none, 0), Kept(none.select("video_id"), 0))


def policies_of(
    former: Mapping[date, DayRules], touched: Collection[date], policies: tuple[CountingPolicy, ...]
) -> dict[date, CountingPolicy]:
    """Return the policy of every event day, stored or new; a day keeps the one it began with."""
    by_version = {policy.version: policy for policy in policies}
    of_new = {day: policy_on(day, policies) for day in touched}
    return of_new | {day: by_version[rules.policy_version] for day, rules in former.items()}


def catalogue_of(rules: Mapping[date, DayRules]) -> int:
    """Return the catalogue version of a branch or version: one for all days; 0 is the empty one."""
    return max((each.catalogue_version for each in rules.values()), default=0)
