"""The changes that a run makes to the settled views of each video and day, for serving's series."""

from collections.abc import Iterator, Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.versions.day_changes import CellChange, DayChange

_ROWS_PER_STEP = 1_000
_CELL = ("quarter", "country", "device_type")


def day_changes(changed: Sequence[tuple[DataFrame, DataFrame]]) -> Iterator[DayChange]:
    """Sum up the events `(removed, added)` of each part of a run; changes become objects when they are read."""
    signed = [_signed(rows, sign) for pair in changed for rows, sign in zip(pair, (-1, 1), strict=True)]
    signed_rows = reduce(DataFrame.unionByName, signed)
    sums = (F.sum("views").alias("views"), F.sum("billable_views").alias("billable_views"))
    cells = signed_rows.groupBy("video_id", "event_day", *_CELL).agg(*sums).where("views <> 0 OR billable_views <> 0")
    listed = F.sort_array(F.collect_list(F.struct(*_CELL, "views", "billable_views"))).alias("cells")
    day = F.date_format("event_day", "yyyy-MM-dd").alias("event_day")
    return _changes(cells.groupBy("video_id", day).agg(*sums, listed))


def _signed(events: DataFrame, sign: int) -> DataFrame:
    billable = F.when(F.expr("billability = 'billable'"), sign).otherwise(0).alias("billable_views")
    quarter = F.expr("hour(happened_at) * 4 + minute(happened_at) DIV 15").cast("int").alias("quarter")
    columns = ("video_id", "event_day", quarter, "country", "device_type", F.lit(sign).alias("views"), billable)
    return events.where("verdict = 'counted'").select(*columns)


def _changes(found: DataFrame) -> Iterator[DayChange]:
    table = found.toArrow()  # now: what fails must fail inside the step
    return (
        DayChange(
            row["video_id"],
            row["event_day"],
            row["views"],
            row["billable_views"],
            [CellChange(**cell) for cell in row["cells"]],
        )
        for batch in table.to_batches(max_chunksize=_ROWS_PER_STEP)
        for row in batch.to_pylist()
    )
