"""The catalogue's facts as a table: what changed since the last run, video by video."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import with_position

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
