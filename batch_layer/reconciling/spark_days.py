"""Compare what the API serves by video and day alone, viewers and completion, with the tables of them."""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.aggregates import BY_VIDEO_DAY, COMPLETION, UNIQUE_VIEWERS
from batch_layer.lake.spark_stored import with_measures
from batch_layer.reconciling.reconciliation import DIFFERENCES_MAX, SERVED

_DAY = ("video_id", "event_day")


class DayNumbers(NamedTuple):
    """The same numbers in a table and as served, or what both have gained, of the same days and versions."""

    what: str
    table: str
    measures: tuple[str, ...]
    counted: DataFrame
    """The rows of the table: video_id, event_day and the measures."""
    served: DataFrame


def of_viewers(counted: DataFrame, served: DataFrame) -> DayNumbers:
    """Return the unique viewers to compare."""
    return DayNumbers("viewers", UNIQUE_VIEWERS.table, tuple(UNIQUE_VIEWERS.measures), counted, served)


def of_completion(counted: DataFrame, served: DataFrame) -> DayNumbers:
    """Return to compare how far viewers got, from the first version that says it."""
    rows = with_measures(counted, COMPLETION)
    return DayNumbers("completion", BY_VIDEO_DAY.table, tuple(COMPLETION), rows, served)


def compared_days(numbers: Iterable[DayNumbers]) -> list[str]:
    """Return a sentence for each of the first `DIFFERENCES_MAX` videos and days of which some numbers differ.

    All of them are compared in one Spark job.
    """
    tables = {each.what: each.table for each in numbers}
    sums = reduce(DataFrame.unionByName, [_sums(each) for each in numbers])
    differing = sums.where("counted <> shown").orderBy("what", *_DAY).limit(DIFFERENCES_MAX)
    return [
        f"{row.what} of video {row.video_id} on {row.event_day}: {tables[row.what]} has {row.counted}, {SERVED} has "
        f"{row.shown}"
        for row in differing.collect()
    ]


def _sums(numbers: DayNumbers) -> DataFrame:
    """Return the sums of both sides as text, by what they are, video and day."""
    sides = [
        rows.select(*_DAY, *numbers.measures, F.lit(is_counted).alias("is_counted"))
        for rows, is_counted in ((numbers.counted, True), (numbers.served, False))
    ]
    side = F.col("is_counted")
    texts = [
        F.concat_ws("/", *[F.sum(F.when(of_side, F.col(name)).otherwise(0)) for name in numbers.measures]).alias(text)
        for text, of_side in (("counted", side), ("shown", ~side))
    ]
    found = sides[0].unionByName(sides[1]).groupBy(*_DAY).agg(*texts)
    return found.withColumn("what", F.lit(numbers.what))
