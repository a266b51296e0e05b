"""Read the groups under review of a version, with what a person looks at before they decide."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_traffic import is_outcome
from batch_layer.judging.spark_traffic_groups import groups_of
from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.counting import Billability
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_groups import ReviewedGroup

EVENTS_SHOWN = 5


def reviewed_groups(outcomes: DataFrame, events: DataFrame) -> list[ReviewedGroup]:
    """Return the groups, in order."""
    groups = groups_of(outcomes)
    days = {group.day for group in groups}
    sent = on_days(events, days).select(*PLACE, "event_id", "video_id", "billability")
    is_waiting = F.col("billability") == Billability.UNDER_REVIEW.value
    found = (
        on_days(outcomes, days)
        .where(is_outcome((TrafficOutcome.REVIEW,)))
        .join(sent, PLACE)
        .groupBy("event_day", "reason", F.coalesce("payee_id", F.lit("")).alias("payee_id"))
        .agg(
            F.count_if(is_waiting).alias("waiting_count"),
            F.count_distinct("video_id").alias("video_count"),
            F.max("points").alias("points_most"),
            F.slice(F.sort_array(F.collect_list("event_id")), 1, EVENTS_SHOWN).alias("event_ids"),
        )
    )
    evidence = {(row.event_day, row.reason, row.payee_id): row for row in found.collect()}
    return [
        ReviewedGroup(group, row.waiting_count, row.video_count, row.points_most, tuple(row.event_ids))
        for group in groups
        for row in (evidence[group.day, group.reason, group.payee_id],)
    ]
