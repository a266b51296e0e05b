"""Compare the counts of videos from several sources on Spark's executors; only differences reach the driver."""

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from batch_layer.reconciling.reconciliation import DIFFERENCES_MAX, VideoMeasures, VideoTotals, video_differences

COUNTS = VideoMeasures._fields


def compared_videos(sources: Mapping[str, DataFrame], *, by_day: bool = False) -> tuple[int, list[str]]:
    """Sum the counts of every video in each source, and compare the sums from one source to the next.

    Return how many videos have any, and a sentence for each of the first `DIFFERENCES_MAX` that differ. The sources
    have video_id and the columns of `COUNTS`; `by_day`: and event_day, by which they are summed, too.
    """
    keys = ("video_id", "event_day") if by_day else ("video_id",)
    named = [rows.select(*keys, *COUNTS, F.lit(name).alias("source")) for name, rows in sources.items()]
    numbers = [f"{column}_{index}" for index in range(len(sources)) for column in COUNTS]
    sums = [
        F.sum(F.when(F.col("source") == name, F.col(column)).otherwise(0)).alias(f"{column}_{index}")
        for index, name in enumerate(sources)
        for column in COUNTS
    ]
    seen = Observation()
    has_any = F.expr(" OR ".join(f"{name} <> 0" for name in numbers))
    found = reduce(DataFrame.unionByName, named).groupBy(*keys).agg(*sums)
    pairs = [(f"{name}_{index}", f"{name}_{index + 1}") for index in range(len(sources) - 1) for name in COUNTS]
    # counted in the same pass: the condition below is applied to what was counted
    differing = found.observe(seen, F.count_if(has_any).alias("video_count")).where(
        " OR ".join(f"{first} <> {second}" for first, second in pairs)
    )
    rows = differing.orderBy(*keys).limit(DIFFERENCES_MAX).collect()
    totals = []
    for row in rows:
        numbers_of = row[len(keys) :]
        counts = [VideoMeasures(*numbers_of[at : at + len(COUNTS)]) for at in range(0, len(numbers_of), len(COUNTS))]
        totals.append(
            VideoTotals(row.video_id, dict(zip(sources, counts, strict=True)), row.event_day if by_day else None)
        )
    return int(seen.get["video_count"]), video_differences(totals)
