"""The derived tables, as functions of judged events."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_COUNTED = "verdict = 'counted'"
_IS_BILLABLE = "billability = 'billable'"


def tally(events: DataFrame) -> DataFrame:
    """Count events by partition, event hour, verdict and first reason."""
    reason = F.coalesce(F.try_element_at("reasons", F.lit(1))["code"], F.lit("")).alias("reason")
    keys = ("partition", "event_day", "event_hour", "verdict", reason)
    return events.groupBy(*keys).agg(F.count("*").alias("event_count"))


def verdict_counts(tally_rows: DataFrame) -> dict[str, int]:
    """Return how many events of a tally got which verdict."""
    rows = tally_rows.groupBy("verdict").agg(F.sum("event_count").alias("event_count")).collect()
    return {row.verdict: row.event_count for row in rows}


def views_by_detail(events: DataFrame) -> DataFrame:
    """Count counted events by video, event day, country and device."""
    keys = ("video_id", "event_day", "country", "device_type", "policy_version")
    counts = (F.count("*").alias("views"), F.count_if(F.expr(_IS_BILLABLE)).alias("billable_views"))
    grouped = events.where(_COUNTED).groupBy(*keys).agg(*counts)
    return grouped.select(*keys[:4], "views", "billable_views", "policy_version")


def views_by_video_day(detail: DataFrame) -> DataFrame:
    """Sum the detailed counts by video and event day."""
    counts = (F.sum("views").alias("views"), F.sum("billable_views").alias("billable_views"))
    grouped = detail.groupBy("video_id", "event_day", "policy_version").agg(*counts)
    return grouped.select("video_id", "event_day", "views", "billable_views", "policy_version")


def views_by_video(by_day: DataFrame) -> DataFrame:
    """Sum the daily counts by video."""
    counts = (F.sum("views").alias("views"), F.sum("billable_views").alias("billable_views"))
    return by_day.groupBy("video_id").agg(*counts)


def changed_totals(before: DataFrame, now: DataFrame, totals: DataFrame) -> DataFrame:
    """Return the new totals of the videos whose counts changed: video_id, views, billable_views.

    `before` and `now` are the counts by video and day of the judged days; `totals` are the former totals of all
    videos. A video that lost its last counted view has zeros.
    """
    signed = now.select("video_id", "views", "billable_views").unionByName(
        before.select("video_id", (-F.col("views")).alias("views"), (-F.col("billable_views")).alias("billable_views"))
    )
    added = (F.sum("views").alias("more_views"), F.sum("billable_views").alias("more_billable"))
    delta = signed.groupBy("video_id").agg(*added).where("more_views <> 0 OR more_billable <> 0")
    return delta.join(totals, "video_id", "left").selectExpr(
        "video_id",
        "coalesce(views, 0) + more_views AS views",
        "coalesce(billable_views, 0) + more_billable AS billable_views",
    )


def merge_totals(totals: DataFrame, target: str) -> None:
    """Put new totals in the place of the former ones in the table `target`; a video with zeros leaves it."""
    totals.createOrReplaceTempView("changed_totals")
    totals.sparkSession.sql(f"""
        MERGE INTO {target} AS total USING changed_totals AS changed
        ON total.video_id = changed.video_id
        WHEN MATCHED AND changed.views = 0 THEN DELETE
        WHEN MATCHED THEN UPDATE SET *
        WHEN NOT MATCHED AND changed.views > 0 THEN INSERT *""")


def rejected_events(decoded: DataFrame, raw: DataFrame) -> DataFrame:
    """Return the rejected among newly decoded events, with their untouched bytes."""
    rejected = decoded.where("verdict = 'rejected'").select("partition", "offset", "event_id", "reasons")
    columns = ("topic", "partition", "offset", "appended_at", "event_id", "reasons", "value")
    return raw.join(rejected, ["partition", "offset"]).select(*columns)
