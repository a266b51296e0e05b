"""Read the groups under review of a version, with what a person looks at before they decide."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from batch_layer.judging.spark_traffic import is_outcome
from batch_layer.judging.spark_traffic_groups import groups_of
from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.counting import Billability
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup, WaitingViews

EVENTS_SHOWN = 5


def reviewed_groups(outcomes: DataFrame, events: DataFrame) -> list[ReviewedGroup]:
    """Return the groups, in order."""
    groups = groups_of(outcomes)
    days = {group.day for group in groups}
    sent = on_days(events, days).select(*PLACE, "event_id", "video_id", "country", "billability")
    is_waiting = F.col("billability") == Billability.UNDER_REVIEW.value
    by_heading = (
        on_days(outcomes, days)
        .where(is_outcome((TrafficOutcome.REVIEW,)))
        .join(sent, PLACE)
        .groupBy("event_day", "reason", F.coalesce("payee_id", F.lit("")).alias("payee_id"), "video_id", "country")
        .agg(
            F.count_if(is_waiting).alias("view_count"),
            F.max("points").alias("points_most"),
            F.slice(F.sort_array(F.collect_list("event_id")), 1, EVENTS_SHOWN).alias("event_ids"),
        )
    )
    found: defaultdict[tuple[date, str, str], list[Row]] = defaultdict(list)
    for row in by_heading.collect():
        found[row.event_day, row.reason, row.payee_id].append(row)
    return [_with_evidence(group, found[group.day, group.reason, group.payee_id]) for group in groups]


def _with_evidence(group: TrafficGroup, rows: Sequence[Row]) -> ReviewedGroup:
    waiting = [WaitingViews(row.video_id, row.country, row.view_count) for row in rows if row.view_count]
    waiting.sort(key=lambda each: (each.video_id, each.country or ""))
    event_ids = sorted(event_id for row in rows for event_id in row.event_ids)[:EVENTS_SHOWN]
    videos, points_most = {row.video_id for row in rows}, max(row.points_most for row in rows)
    return ReviewedGroup(group, tuple(waiting), len(videos), points_most, tuple(event_ids))
