"""The counting rule in Spark: the same outcome for every event as `ingestion.contract.counting.settle`.

Only the cases in which order matters cost much: ids that occur more than once, and viewers who watched one video more
often than the cap allows. Everything else is a hash aggregate of eight-byte keys and one scan.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import Kept, kept
from ingestion.contract.counting import LATE_AFTER, Verdict

CANDIDATES = tuple(
    each.value for each in (Verdict.COUNTED, Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.INVALID_TRAFFIC)
)
"""The verdicts of events that are compared with each other."""


def repeat_verdicts(candidates: DataFrame) -> DataFrame:
    """Return `(partition, offset, repeat_verdict)` for every candidate that is not the first of its id.

    `candidates` must hold all candidates of the judged days and of the adjacent days.

    Among the events of an id on the same and the neighbouring days the smallest (appended_at, partition, offset) of
    those that were not late, or else of the late ones that were accepted, is counted; any other is compared with that
    one. So only the minimum by id and day is needed, no other order.
    """
    keyed = candidates.select(
        "id_hash",
        "event_id",
        "event_day",
        F.struct(is_late().alias("is_late"), "appended_at", "partition", "offset", "payload_digest").alias("event"),
    )
    # two ids that share a hash only cost some time: the rule below uses event_id
    repeated = keyed.join(more_than(keyed, 1), "id_hash", "left_semi").drop("id_hash")
    first_of_day = repeated.groupBy("event_id", "event_day").agg(F.min("event").alias("first"))
    days_in_reach = F.explode(F.array(F.date_sub("event_day", 1), "event_day", F.date_add("event_day", 1)))
    first_in_reach = (
        first_of_day.select("event_id", days_in_reach.alias("event_day"), "first")
        .groupBy("event_id", "event_day")
        .agg(F.min("first").alias("first"))
    )
    same = F.col("first.payload_digest") == F.col("event.payload_digest")
    return (
        repeated.join(first_in_reach, ["event_id", "event_day"])
        .where("first.partition <> event.partition OR first.offset <> event.offset")
        .select(
            "event.partition",
            "event.offset",
            F.when(same, Verdict.DUPLICATE.value).otherwise(Verdict.CONFLICT.value).alias("repeat_verdict"),
        )
    )


def first_verdict() -> Column:
    """Return the verdict of a candidate that is the first of its id."""
    is_invalid = F.col("reasons").isNotNull()
    return F.when(is_invalid, Verdict.INVALID_TRAFFIC.value).otherwise(Verdict.COUNTED.value)


def is_late() -> Column:
    """Return whether an event happened too long before it was received; such a candidate was accepted."""
    return F.expr(f"happened_at < appended_at - INTERVAL '{LATE_AFTER.days}' DAY")


def more_than(keyed: DataFrame, limit: int, key: str = "id_hash") -> DataFrame:
    """Return the keys that occur more than `limit` times, ready to be joined."""
    return kept(keyed.groupBy(key).count().where(F.col("count") > limit).select(key)).joinable()


def with_verdicts(events: DataFrame, repeats: Kept) -> DataFrame:
    """Return `events` with the verdict filled in for candidates, whose `verdict` is null."""
    verdict = F.coalesce("verdict", "repeat_verdict", first_verdict())
    joined = events.join(repeats.joinable(), ["partition", "offset"], "left")
    return joined.withColumn("verdict", verdict).drop("repeat_verdict")
