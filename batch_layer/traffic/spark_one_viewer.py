"""What one viewer cannot do alone, in Spark; the same as `one_viewer`."""

from collections.abc import Iterator

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import kept
from batch_layer.traffic.one_viewer import (
    ANONYMISED,
    EVEN_WITHIN,
    HOUR,
    SECOND,
    TEN_MINUTES,
    VARIED_SECONDS,
    places_of,
)
from batch_layer.traffic.spark_findings import IS_OF_DAY, JUDGED_DAY, findings, first_met, floor_of
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

ORDER = ("happened_at", "event_id", "partition", "offset")
VIEWER = (JUDGED_DAY, "user_id")


def found(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    """Yield findings. `rows` has begun, ended (microseconds since 1970) and is_left beside the columns of events."""
    views = rows.where("user_id IS NOT NULL")
    yield from _at_once(views, policy)
    yield from _hours(views, policy)
    yield from _places(views, policy)
    yield from _pauses(views, policy)


def in_progress(views: DataFrame, *keys: str) -> DataFrame:
    """Return the keys, begun and at_once of each view: how many views with these keys are in progress then."""
    begins = views.select(*keys, F.col("begun").alias("at"), F.lit(1).alias("change"))
    ends = views.select(*keys, F.col("ended").alias("at"), F.lit(-1).alias("change"))
    until_now = Window.partitionBy(*keys).orderBy("at").rangeBetween(Window.unboundedPreceding, Window.currentRow)
    counted = begins.unionAll(ends).withColumn("at_once", F.sum("change").over(until_now))
    return counted.where("change = 1").select(*keys, F.col("at").alias("begun"), "at_once")


def _at_once(views: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    of_all = (
        (policy.at_once_invalid, policy.at_once_times_invalid, INVALID_POINTS),
        (policy.at_once_review, policy.at_once_times_review, REVIEW_POINTS),
    )
    of_payee = (
        (policy.payee_at_once_invalid, policy.payee_at_once_times_invalid, INVALID_POINTS),
        (policy.payee_at_once_review, policy.payee_at_once_times_review, REVIEW_POINTS),
    )
    for keys, levels in (([*VIEWER], of_all), ([*VIEWER, "payee_id"], of_payee)):
        group = views.where("payee_id IS NOT NULL") if "payee_id" in keys else views
        often = group.groupBy(*keys).count().where(F.col("count") >= min(least for least, _, _ in levels)).drop("count")
        counted = in_progress(group.join(kept(often).joinable(), keys), *keys)
        box = floor_of(F.col("begun"), TEN_MINUTES)
        times = [F.count_distinct(F.when(F.col("at_once") >= least, box)) >= many for least, many, _ in levels]
        points = first_met((is_met, each[2]) for is_met, each in zip(times, levels, strict=True))
        groups = counted.groupBy(*keys).agg(points.alias("points")).where("points IS NOT NULL")
        yield from findings(group, groups, keys, DayReason.PLAYS_AT_ONCE)


def _hours(views: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    of_day = views.where(IS_OF_DAY)
    seconds = F.sum(F.col("view_duration").cast("bigint"))
    levels = (
        (seconds >= policy.hours_invalid * 3_600, INVALID_POINTS),
        (seconds >= policy.hours_review * 3_600, REVIEW_POINTS),
    )
    long = of_day.groupBy(*VIEWER).agg(first_met(levels).alias("points")).where("points IS NOT NULL")
    yield from findings(of_day, long, VIEWER, DayReason.MORE_HOURS_THAN_A_DAY)


def _places(views: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    kind = F.coalesce("network_kind", F.lit(""))
    own = views.where(~(kind.startswith(ANONYMISED[0]) | kind.startswith(ANONYMISED[1])))
    before = Window.partitionBy(*VIEWER).orderBy(*ORDER)
    for name, reason, changes, levels in places_of(policy):
        mine = own.where(F.col(name).isNotNull())
        moved = (F.col(name) != F.lag(name).over(before)) & (F.col("begun") - F.lag("ended").over(before) < HOUR)
        seen, moves = F.count_distinct(name), F.sum(F.coalesce(F.col("moved").cast("int"), F.lit(0)))
        points = first_met(((moves >= changes) & (seen >= least), points) for least, points in levels)
        moving = mine.select(*VIEWER, name, moved.alias("moved")).groupBy(*VIEWER).agg(points.alias("points"))
        yield from findings(mine, moving.where("points IS NOT NULL"), VIEWER, reason)


def _pauses(views: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    following = Window.partitionBy(*VIEWER).orderBy(*ORDER)
    pause = (F.lead("begun").over(following) - F.col("ended")).alias("pause")
    after = views.select(*VIEWER, "view_duration", "is_left", pause).where("is_left AND pause IS NOT NULL")
    is_long = F.col("pause").between(policy.pause_seconds * SECOND, HOUR - 1)
    length = F.when(is_long, F.col("view_duration"))
    sums = after.groupBy(*VIEWER).agg(
        F.count(F.lit(1)).alias("after"),
        F.sort_array(F.collect_list(F.when(is_long, F.col("pause")))).alias("long"),
        (F.max(length) - F.min(length) >= VARIED_SECONDS).alias("is_varied"),
    )
    median = "try_element_at(long, int((size(long) - 1) div 2) + 1)"
    even = F.expr(f"size(filter(long, each -> abs(each - {median}) <= {EVEN_WITHIN}))")
    is_even = (10 * even >= 9 * F.size("long")) & (10 * F.size("long") >= 8 * F.col("after"))
    levels = (
        (F.size("long") >= policy.pauses_invalid, INVALID_POINTS),
        (F.size("long") >= policy.pauses_review, REVIEW_POINTS),
    )
    robots = sums.where(is_even & F.col("is_varied")).select(*VIEWER, first_met(levels).alias("points"))
    yield from findings(views, robots.where("points IS NOT NULL"), VIEWER, DayReason.EVEN_PAUSES)
