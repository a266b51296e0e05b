"""What the day rules of traffic are told of videos: their lengths, and who owned them on a day."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.lake.spark_kept import kept


@dataclass(frozen=True)
class Videos:
    """The videos of a catalogue."""

    lengths: DataFrame
    """video_id, length_seconds"""
    owners: DataFrame
    """video_id, payee_id, share_ppm, from_on, to_on"""

    @classmethod
    def of(cls, catalogue: CatalogueFacts, version: int) -> "Videos":
        """Read them once."""
        lengths = catalogue.facts(version).select("video_id", "length_seconds")
        return cls(kept(lengths).rows, kept(catalogue.owners(version)).rows)


def payees_on(owners: DataFrame, days: Collection[date]) -> DataFrame:
    """Return `(video_id, event_day, payee_id)`: the owner of the largest share on each day, of equal ones the first."""
    parts = [
        owners.where((F.col("from_on") <= F.lit(day)) & (F.lit(day) < F.col("to_on")))
        .groupBy("video_id")
        .agg(F.min_by("payee_id", F.struct(-F.col("share_ppm"), "payee_id")).alias("payee_id"))
        .select("video_id", F.lit(day).alias("event_day"), "payee_id")
        for day in days
    ]
    return reduce(DataFrame.unionByName, parts)
