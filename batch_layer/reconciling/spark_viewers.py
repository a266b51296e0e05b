"""Compare the unique viewers of each video and day that the API serves with the table of them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.tables import UNIQUE_VIEWERS
from batch_layer.reconciling.reconciliation import DIFFERENCES_MAX, SERVED

_DAY = ("video_id", "event_day")


def compared_viewers(counted: DataFrame, served: DataFrame) -> list[str]:
    """Return a sentence for each of the first `DIFFERENCES_MAX` videos and days whose viewers differ.

    Both have video_id, event_day and unique_viewers, or what these have gained, of the same days and versions.
    """
    sides = [
        rows.select(*_DAY, F.col("unique_viewers").alias(name), F.lit(0).alias(other))
        for rows, name, other in ((counted, "counted", "shown"), (served, "shown", "counted"))
    ]
    sums = (
        sides[0].unionByName(sides[1]).groupBy(*_DAY).agg(*[F.sum(name).alias(name) for name in ("counted", "shown")])
    )
    return [
        f"viewers of video {row.video_id} on {row.event_day}: {UNIQUE_VIEWERS} has {row.counted}, {SERVED} has "
        f"{row.shown}"
        for row in sums.where("counted <> shown").orderBy(*_DAY).limit(DIFFERENCES_MAX).collect()
    ]
