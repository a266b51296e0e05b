"""The changes that a run makes to the settled views of each video and day, for serving's series."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_CELL = ("quarter", "country", "device_type")


def day_changes(changed: Sequence[tuple[DataFrame, DataFrame]]) -> DataFrame:
    """Return the sums of the events `(removed, added)` of each part of a run, one row for each video and day.

    The columns are video_id, event_day as text, views, billable_views and cells, as in `DayChange`.
    """
    signed = [_signed(rows, sign) for pair in changed for rows, sign in zip(pair, (-1, 1), strict=True)]
    signed_rows = reduce(DataFrame.unionByName, signed)
    sums = (F.sum("views").alias("views"), F.sum("billable_views").alias("billable_views"))
    cells = signed_rows.groupBy("video_id", "event_day", *_CELL).agg(*sums).where("views <> 0 OR billable_views <> 0")
    listed = F.sort_array(F.collect_list(F.struct(*_CELL, "views", "billable_views"))).alias("cells")
    day = F.date_format("event_day", "yyyy-MM-dd").alias("event_day")
    return cells.groupBy("video_id", day).agg(*sums, listed)


def _signed(events: DataFrame, sign: int) -> DataFrame:
    billable = F.when(F.expr("billability = 'billable'"), sign).otherwise(0).alias("billable_views")
    quarter = F.expr("hour(happened_at) * 4 + minute(happened_at) DIV 15").cast("int").alias("quarter")
    columns = ("video_id", "event_day", quarter, "country", "device_type", F.lit(sign).alias("views"), billable)
    return events.where("verdict = 'counted'").select(*columns)
