"""Findings as rows, and from them one outcome for an event; the same as `findings`."""

from collections.abc import Iterable, Iterator, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import kept
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import ORDER_OF_CODE, RULE_REASONS, TrafficReason

JUDGED_DAY = "judged_day"
"""The day under whose rules a row is seen: an event is seen by those of its own day and those of the next."""
IS_OF_DAY = f"event_day = {JUDGED_DAY}"
PLACE = ("partition", "offset", "event_day", JUDGED_DAY)
"""The columns that name a row."""


def findings(
    rows: DataFrame, groups: DataFrame, keys: Sequence[str], reason: TrafficReason, *, where: str = "true"
) -> Iterator[DataFrame]:
    """Yield a finding for each row of groups, given with their points; nothing where there is no group.

    Few groups are found, so rows are looked up in them: sorting all rows by the keys of each rule costs most of a day.
    """
    found = kept(groups.withColumn("points", F.col("points").cast("int")))
    if found.count:
        its = F.lit(reason.code).alias("reason")
        yield rows.join(found.joinable(), [*keys]).where(where).select(*PLACE, its, "points")


def floor_of(number: Column, width: int) -> Column:
    """Return in which box of this width a whole number is, below zero too."""
    return F.call_function("div", number - F.pmod(number, F.lit(width)), F.lit(width))


def first_met(levels: Iterable[tuple[Column, int]]) -> Column:
    """Return the points of the first condition that is met; null where none is."""
    found: Column = F.lit(None).cast("int")
    for condition, points in reversed(list(levels)):
        found = F.when(condition, F.lit(points)).otherwise(found)
    return found


def nothing(rows: DataFrame) -> DataFrame:
    """Return no finding of some rows."""
    return rows.where(F.lit(False)).select(*PLACE, F.lit("").alias("reason"), F.lit(0).alias("points"))


def outcomes(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    """Return the outcome of each event that has one, by all findings."""
    if policy.demoted:
        is_demoted = F.col("reason").isin(sorted(policy.demoted))
        rows = rows.withColumn(
            "points", F.when(is_demoted, F.least("points", F.lit(REVIEW_POINTS))).otherwise(F.col("points"))
        )
    facts = [(each.code, each.its_class.value, -ORDER_OF_CODE[each.code]) for each in RULE_REASONS]
    known = ", ".join(f"'{code}', named_struct('its_class', '{its}', 'rank', {rank})" for code, its, rank in facts)
    rows = rows.withColumn("known", F.element_at(F.expr(f"map({known})"), F.col("reason")))
    strongest = F.max(F.struct("points", "known.rank", "reason"))
    of_class = rows.groupBy(*PLACE, F.col("known.its_class").alias("its_class")).agg(strongest.alias("strongest"))
    summed = of_class.groupBy(*PLACE).agg(
        F.sum("strongest.points").cast("int").alias("points"), F.max("strongest").alias("strongest")
    )
    outcome = F.when(F.col("points") >= INVALID_POINTS, "invalid").otherwise("review")
    return summed.where(F.col("points") >= REVIEW_POINTS).select(
        "partition",
        "offset",
        "event_day",
        outcome.alias("outcome"),
        F.col("strongest.reason").alias("reason"),
        "points",
    )
