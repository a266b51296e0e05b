"""The rules of a period in Spark: the outcomes of `period_rules`, for any order or partitioning of rows."""

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import chain

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import kept
from batch_layer.traffic import spark_crowds
from batch_layer.traffic.allowed import Allowed
from batch_layer.traffic.period_rules import CROWDS
from batch_layer.traffic.spark_allowed import without_allowed
from batch_layer.traffic.spark_day_rules import with_times
from batch_layer.traffic.spark_findings import JUDGED_DAY, PLACE, findings, first_met, nothing, outcomes
from batch_layer.traffic.spark_one_viewer import VIEWER
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import PeriodReason


def period_outcomes(
    rows: DataFrame, payee_viewers: DataFrame, policy: TrafficPolicy, allowed: Allowed = ()
) -> DataFrame:
    """Return partition, offset, event_day, outcome, reason and points of the events that have an outcome.

    `rows` are the events that the rules see, in the columns of the day rules; `judged_day` is the same in all.
    `payee_viewers` are `(payee_id, user_id)`. They are read several times, so the caller keeps them. `allowed` are the
    policy's own entries.
    """
    known = with_times(rows.where("user_id IS NOT NULL"))
    found = chain(_even_days(known, policy), _rings(known, payee_viewers, policy), _crowds(known, policy))
    all_found = reduce(DataFrame.unionAll, chain([nothing(known)], found))
    return outcomes(without_allowed(all_found, known, allowed), policy)


def _even_days(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    is_left = F.col("is_left") & (F.col("view_duration") >= policy.paid_seconds)
    has_payee = F.col("payee_id").isNotNull()
    of_day = rows.groupBy(*VIEWER, "event_day").agg(
        F.sum(is_left.cast("bigint")).alias("count"),
        F.min("payee_id").alias("first_payee"),
        F.max("payee_id").alias("last_payee"),
        F.bool_and(has_payee).alias("has_payee"),
    )
    is_counted = F.col("count") > 0
    first_on, last_on = (F.expr(f"{name}(event_day) FILTER (WHERE count > 0)") for name in ("min", "max"))
    viewers = of_day.groupBy(*VIEWER).agg(
        (F.min("first_payee") == F.max("last_payee")).alias("is_of_one"),
        F.bool_and("has_payee").alias("has_payee"),
        F.count_if(is_counted).alias("days"),
        F.date_diff(last_on, first_on).alias("span"),
        F.sum("count").alias("views"),
        F.sum(F.col("count") * F.col("count")).alias("squares"),
    )
    days, views = F.col("days"), F.col("views")
    chosen = viewers.where(
        F.col("is_of_one")
        & F.col("has_payee")
        & (days >= policy.even_days)
        & (days > F.col("span"))
        & (views >= days * policy.even_views)
    )
    spread = days * F.col("squares") - views * views
    points = first_met(
        (
            (spread * policy.even_ratio_invalid <= views * days, INVALID_POINTS),
            (spread * policy.even_ratio_review <= views * days, REVIEW_POINTS),
        )
    )
    even = chosen.select(*VIEWER, points.alias("points")).where("points IS NOT NULL")
    yield from findings(rows, even, VIEWER, PeriodReason.EVEN_DAYS)


def _rings(rows: DataFrame, payee_viewers: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    owned = payee_viewers.select("user_id", F.col("payee_id").alias("of_payee")).distinct()
    own = F.collect_set("of_payee").alias("own_payees")
    views = rows.where("payee_id IS NOT NULL").where(F.col("view_duration") >= policy.paid_seconds)
    watched = views.join(owned.groupBy("user_id").agg(own), "user_id").where(
        ~F.array_contains("own_payees", F.col("payee_id"))
    )
    between = kept(watched.select(*PLACE, "video_id", "payee_id", F.explode("own_payees").alias("of_payee"))).rows
    count = F.count(F.lit(1))
    sums = between.groupBy(JUDGED_DAY, "of_payee", "payee_id").agg(
        count.alias("views"), F.count_distinct("event_day").alias("days"), F.count_distinct("video_id").alias("videos")
    )
    is_many = (F.col("views") >= policy.ring_views) & (F.col("days") >= policy.ring_days)
    pairs = kept(sums.where(is_many & (F.col("views") >= F.col("videos") * policy.ring_repeats))).rows
    back = pairs.select(JUDGED_DAY, F.col("payee_id").alias("of_payee"), F.col("of_payee").alias("payee_id"))
    keys = [JUDGED_DAY, "of_payee", "payee_id"]
    mutual = pairs.select(*keys).join(back, keys).withColumn("points", F.lit(REVIEW_POINTS))
    yield from findings(between, mutual, keys, PeriodReason.PAYEES_IN_A_RING)


def _crowds(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    of_weeks = replace(policy, witness_views_max=policy.weeks_witness_views_max)
    pair = [*VIEWER, "payee_id"]
    many = rows.groupBy(*pair).count().where(F.col("count") > policy.weeks_viewer_views_max)
    habits = rows.join(kept(many.where("payee_id IS NOT NULL")).joinable(*pair), pair).select(*PLACE)
    for each in spark_crowds.found(rows, of_weeks, CROWDS):
        yield each.join(habits, [*PLACE], "left_anti").withColumn("reason", F.lit(PeriodReason.CROWD_OF_WEEKS.code))
