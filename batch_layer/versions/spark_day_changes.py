"""The changes that a run makes to the views, invalid traffic and viewers of each video and day, for serving."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_unique_viewers import VIEWER_ROW
from batch_layer.lake.aggregates import COMPLETION, SERVED
from batch_layer.lake.reason_sql import CLASS_OF_REASON
from batch_layer.versions.day_changes import SAMPLES_MAX, TallyRow

_CELL = ("quarter", "country", "device_type")


def day_changes(changed: Sequence[tuple[DataFrame, DataFrame]]) -> DataFrame:
    """Return the sums of the events `(removed, added)` of each part of a run, one row for each video and day.

    The columns are video_id, event_day as text, the measures and cells, as in `DayChange`. Removed events without a
    duration are of a release that published no seconds: those of their cells are published now, be they zero. The same
    holds for the completion of a day with removed events that have no column for it.
    """
    signed = [_signed(rows, sign) for pair in changed for rows, sign in zip(pair, (-1, 1), strict=True)]
    signed_rows = reduce(DataFrame.unionByName, signed)
    sums = [F.sum(F.coalesce(name, F.lit(0))).alias(name) for name in (*SERVED, *COMPLETION)]
    firsts = [F.bool_or(name).alias(name) for name in ("is_first", "is_first_completion")]
    cells = signed_rows.groupBy("video_id", "event_day", *_CELL).agg(*sums, *firsts)
    is_changed = F.expr(" OR ".join(["is_first", *(f"{name} <> 0" for name in SERVED)]))
    # a list leaves out what is null
    listed = F.sort_array(F.collect_list(F.when(is_changed, F.struct(*_CELL, *SERVED)))).alias("cells")
    day = F.date_format("event_day", "yyyy-MM-dd").alias("event_day")
    days = cells.groupBy("video_id", day).agg(*sums, listed, firsts[1])
    is_day = " OR ".join(["size(cells) > 0", "is_first_completion", *(f"{name} <> 0" for name in COMPLETION)])
    return days.where(is_day).drop("is_first_completion")


def invalid_changes(changed: Sequence[tuple[DataFrame, DataFrame]]) -> DataFrame:
    """Return what the events `(removed, added)` of each part of a run change in the invalid traffic.

    One row for each video, day and class, with the columns of `InvalidChange`.
    """
    signed = [_invalid(rows, sign) for pair in changed for rows, sign in zip(pair, (-1, 1), strict=True)]
    samples = F.slice(F.sort_array(F.collect_set(F.when(F.col("sign") > 0, F.col("event_id")))), 1, SAMPLES_MAX)
    sums = (F.sum("sign").alias("events"), samples.alias("sample_event_ids"))
    day = F.date_format("event_day", "yyyy-MM-dd").alias("event_day")
    rows = reduce(DataFrame.unionByName, signed)
    return rows.groupBy("video_id", day, "invalid_class").agg(*sums).where("events <> 0")


def tally_by_day(tally_rows: DataFrame) -> list[TallyRow]:
    """Return how many events of each day of a tally got which verdict, and why."""
    rows = tally_rows.groupBy("event_day", "verdict", "reason").agg(F.sum("event_count").alias("events"))
    return [TallyRow(*row) for row in rows.where("events <> 0").collect()]


def viewer_changes(changed: Sequence[tuple[DataFrame, DataFrame]]) -> DataFrame | None:
    """Return what the rows of viewers `(went, came)` of parts of a run change in the viewers of a video and day.

    One row for each video and day, with the columns of `ViewerChange`. None: no part has any.
    """
    if not changed:
        return None
    signed = [
        rows.select(*VIEWER_ROW, F.lit(sign).alias("sign"))
        for pair in changed
        for rows, sign in zip(pair, (-1, 1), strict=True)
    ]
    net = reduce(DataFrame.unionByName, signed).groupBy(*VIEWER_ROW).agg(F.sum("sign").alias("sign")).where("sign <> 0")
    came, went = (
        F.sort_array(F.collect_list(F.when(F.col("is_known") & (F.col("sign") == sign), F.col("viewer"))))
        for sign in (1, -1)
    )
    sums = (F.sum("sign").alias("viewers"), came.alias("came"), went.alias("went"))
    day = F.date_format("event_day", "yyyy-MM-dd").alias("event_day")
    return net.groupBy("video_id", day).agg(*sums)


def _invalid(events: DataFrame, sign: int) -> DataFrame:
    columns = ("video_id", "event_day", "event_id", F.expr(CLASS_OF_REASON).alias("invalid_class"))
    return events.where("verdict = 'invalid_traffic'").select(*columns, F.lit(sign).alias("sign"))


def _signed(events: DataFrame, sign: int) -> DataFrame:
    billable = F.when(F.expr("billability = 'billable'"), sign).otherwise(0).alias("billable_views")
    quarter = F.expr("hour(happened_at) * 4 + minute(happened_at) DIV 15").cast("int").alias("quarter")
    seconds = (F.col("view_duration").cast("bigint") * sign).alias("watched_seconds")
    has_completion = "quartile" in events.columns
    rows = events if has_completion else events.withColumn("quartile", F.lit(None).cast("int"))
    completion = [(F.expr(value) * sign).alias(name) for name, value in COMPLETION.items()]
    firsts = {"is_first": F.col("view_duration").isNull(), "is_first_completion": F.lit(not has_completion)}
    counted = rows.where("verdict = 'counted'").withColumns(firsts)
    cell = ("video_id", "event_day", quarter, "country", "device_type")
    return counted.select(*cell, F.lit(sign).alias("views"), billable, seconds, *completion, *firsts)
