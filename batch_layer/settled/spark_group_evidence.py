"""Count the events of groups under review by hour, network, device and so on, beside the others of the day."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from batch_layer.judging.spark_traffic import is_outcome
from batch_layer.judging.spark_traffic_groups import GROUP
from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.counting import Verdict
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_evidence import (
    PARTS,
    SECONDS_FROM,
    UNKNOWN,
    Aspect,
    EvidenceCount,
    GroupEvidence,
    SampleEvent,
)
from ingestion.contract.traffic_groups import TrafficGroup

SAMPLES = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CELL = ("aspect", "value")
_Key = tuple[object, ...]


def group_evidence(
    groups: Collection[TrafficGroup], outcomes: DataFrame, events: DataFrame, viewers: DataFrame, lengths: DataFrame
) -> dict[TrafficGroup, GroupEvidence]:
    """Return the evidence on each of the groups; `outcomes` has no others of their payees, reasons and days.

    `lengths` has `video_id` and `length_seconds`. What is read are the days of the groups.
    """
    rows = _rows(groups, outcomes, events, viewers, lengths).persist()
    try:
        members = rows.where("reason IS NOT NULL")
        of_all = _counted(_cells(rows), ("event_day",))
        of_group = _counted(_cells(members), GROUP)
        of_videos = _counted(_cells(_others_of_videos(rows, members)), GROUP)
        samples = _samples(members)
    finally:
        rows.unpersist()
    found = {}
    for group in groups:
        key = (group.day, group.reason, group.payee_id)
        own, usual, all_ = of_group[key], of_videos[key], of_all[(group.day,)]
        counts = {
            aspect: tuple(
                EvidenceCount(value, own[cell], usual[cell], all_[cell] - own[cell])
                for cell in sorted(all_)
                for name, value in [cell]
                if name == aspect
            )
            for aspect in Aspect
        }
        found[group] = GroupEvidence(counts, tuple(samples[key]))
    return found


def _rows(
    groups: Collection[TrafficGroup], outcomes: DataFrame, events: DataFrame, viewers: DataFrame, lengths: DataFrame
) -> DataFrame:
    """Return the counted events of the days, those of the groups with their reason and payee, the others without."""
    days = {each.day for each in groups}
    wanted = outcomes.sparkSession.createDataFrame(
        [(each.day, each.reason, each.payee_id) for each in groups], "event_day date, reason string, payee_id string"
    )
    marks = (
        on_days(outcomes, days)
        .where(is_outcome((TrafficOutcome.REVIEW,)))
        .select(*PLACE, "event_day", "reason", F.coalesce("payee_id", F.lit("")).alias("payee_id"))
        .join(F.broadcast(wanted), list(GROUP))
        .select(*PLACE, "reason", "payee_id")
    )
    kinds = on_days(viewers, days).select(*PLACE, "network_kind")
    counted = on_days(events, days).where(F.col("verdict") == Verdict.COUNTED.value)
    return (
        counted.select(
            *PLACE, "event_id", "event_day", "happened_at", "video_id", "country", "device_type", "view_duration"
        )
        .join(kinds, PLACE, "left")
        .join(lengths, "video_id", "left")
        .join(marks, PLACE, "left")
        .withColumn("network_kind", F.coalesce(F.substring_index("network_kind", "/", 1), F.lit(UNKNOWN)))
    )


def _others_of_videos(rows: DataFrame, members: DataFrame) -> DataFrame:
    """Return the events of each group's videos that are not in the group, under its reason and payee."""
    videos = members.select(*GROUP, "video_id").distinct()
    others = rows.withColumnsRenamed({"reason": "own_reason", "payee_id": "own_payee_id"})
    joined = others.join(videos, ["event_day", "video_id"])
    is_member = (F.col("own_reason") == F.col("reason")) & (F.col("own_payee_id") == F.col("payee_id"))
    return joined.where(~F.coalesce(is_member, F.lit(False)))


def _cells(rows: DataFrame) -> DataFrame:
    """Return a row for each aspect of each event."""
    values = {
        Aspect.HOUR: F.date_format("happened_at", "HH"),
        Aspect.NETWORK_KIND: F.col("network_kind"),
        Aspect.DEVICE: F.coalesce("device_type", F.lit(UNKNOWN)),
        Aspect.COUNTRY: F.coalesce("country", F.lit(UNKNOWN)),
        Aspect.SECONDS: _class_of(F.col("view_duration")),
        Aspect.ENDING: _part_of(F.col("view_duration"), F.col("length_seconds")),
    }
    pairs = (
        F.struct(F.lit(aspect.value).alias("aspect"), value.cast("string").alias("value"))
        for aspect, value in values.items()
    )
    return rows.select(*GROUP, F.explode(F.array(*pairs)).alias("cell")).select(*GROUP, "cell.*")


def _class_of(seconds: Column) -> Column:
    found = F.lit(0)
    for first in SECONDS_FROM:
        found = F.when(seconds >= first, F.lit(first)).otherwise(found)
    return found


def _part_of(seconds: Column, length: Column) -> Column:
    part = F.least(F.floor(seconds * PARTS / length), F.lit(PARTS))
    return F.when(length > 0, part.cast("string")).otherwise(F.lit(UNKNOWN))


def _counted(cells: DataFrame, keys: Collection[str]) -> Mapping[_Key, "defaultdict[tuple[str, str], int]"]:
    """Return key → (aspect, value) → events."""
    found: defaultdict[_Key, defaultdict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for row in cells.groupBy(*keys, *_CELL).count().toLocalIterator():
        found[tuple(row[key] for key in keys)][row.aspect, row.value] = row["count"]
    return found


def _samples(members: DataFrame) -> Mapping[_Key, list[SampleEvent]]:
    by_time = Window.partitionBy(*GROUP).orderBy(F.xxhash64("event_id"), "event_id")
    chosen = members.withColumn("number", F.row_number().over(by_time)).where(F.col("number") <= SAMPLES)
    found: defaultdict[_Key, list[SampleEvent]] = defaultdict(list)
    for row in chosen.withColumn("at", F.unix_micros("happened_at")).orderBy(*GROUP, "at", "event_id").collect():
        found[tuple(row[key] for key in GROUP)] += _sample(row)
    return found


def _sample(row: Row) -> Iterator[SampleEvent]:
    yield SampleEvent(
        row.event_id,
        _EPOCH + timedelta(microseconds=row.at),
        row.video_id,
        row.country or UNKNOWN,
        row.device_type or UNKNOWN,
        row.view_duration,
        row.network_kind,
    )
