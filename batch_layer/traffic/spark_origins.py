"""Where views come from, in Spark; the same as `origins`."""

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.traffic.crowds import MILLION
from batch_layer.traffic.origins import LONELY_VIEWS_MAX
from batch_layer.traffic.spark_findings import JUDGED_DAY, findings, first_met
from ingestion.contract.traffic_policy import INVALID_POINTS, STRONG_HINT_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason


def found(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    """Yield findings."""
    networks = (
        rows.where("network IS NOT NULL")
        .groupBy(JUDGED_DAY, "network")
        .agg(
            (
                (F.count(F.lit(1)) <= LONELY_VIEWS_MAX)
                & (F.count("user_id") == F.count(F.lit(1)))
                & (F.min("user_id") == F.max("user_id"))
            ).alias("is_lonely")
        )
    )
    known = rows.where("network IS NOT NULL AND country IS NOT NULL").join(networks, [JUDGED_DAY, "network"])
    lonely, views = F.sum(F.col("is_lonely").cast("int")), F.count(F.lit(1))
    countries = known.groupBy(JUDGED_DAY, "country").agg(F.call_function("div", lonely * MILLION, views).alias("usual"))
    of_payee = (
        known.where("payee_id IS NOT NULL")
        .groupBy(JUDGED_DAY, "payee_id", "country")
        .agg(lonely.alias("lonely"), views.alias("views"))
    )
    sums = (
        of_payee.join(countries, [JUDGED_DAY, "country"])
        .groupBy(JUDGED_DAY, "payee_id")
        .agg(F.sum("lonely").alias("lonely"), F.sum(F.col("views") * F.col("usual")).alias("expected"))
    )
    levels = (
        (policy.lonely_least_invalid, policy.lonely_ratio_invalid, INVALID_POINTS),
        (policy.lonely_least_review, policy.lonely_ratio_review, STRONG_HINT_POINTS),
    )
    points = first_met(
        ((F.col("lonely") >= least) & (F.col("lonely") * MILLION >= F.col("expected") * ratio), many)
        for least, ratio, many in levels
    )
    payees = sums.select(JUDGED_DAY, "payee_id", points.alias("points")).where("points IS NOT NULL")
    keys = [JUDGED_DAY, "payee_id"]
    yield from findings(known.where("is_lonely"), payees, keys, DayReason.NETWORKS_SEEN_ONCE)
