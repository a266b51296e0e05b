"""Billability in Spark: the rules of `ingestion.contract.counting` for counted events, including the cap."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import BROADCAST_ROWS_MAX, Kept, kept
from ingestion.contract.counting import Billability, VideoFacts, apply_cap
from ingestion.contract.policy import CountingPolicy

CONTEXT_WINDOW_MAX = timedelta(days=1)
"""The cap looks back into one day before the judged one; a policy with a longer window needs more context days."""
_OWN_VIEWERS = pa.list_(pa.struct([("user_id", pa.string()), ("from_on", pa.date32()), ("to_on", pa.date32())]))
_OVER_CAP = "partition int, offset bigint"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - Arrow hands over UTC microseconds; only differences are used


_QUARTILE = """
    CASE WHEN verdict = 'counted' AND length_seconds > 0
    THEN int(least(4L, view_duration * 4L DIV length_seconds)) END"""
"""The rule of `counting.quartile_of`."""


def policy_columns(policies: Mapping[date, CountingPolicy]) -> dict[str, Column]:
    """Return what the policy of an event's day says of the event alone; null on other days than these."""
    for policy in policies.values():
        if policy.viewer_window > CONTEXT_WINDOW_MAX:
            raise ValueError(f"policy {policy.version} looks back {policy.viewer_window}; at most 24 hours are read")
    days_of = defaultdict[CountingPolicy, list[str]](list)
    for day, policy in sorted(policies.items()):
        days_of[policy].append(f"DATE'{day}'")

    def by_day(value: Callable[[CountingPolicy], int | bool], kind: str) -> Column:
        cases = [f"WHEN event_day IN ({', '.join(days)}) THEN {value(policy)}" for policy, days in days_of.items()]
        return F.expr(f"CASE {' '.join(cases)} END") if cases else F.lit(None).cast(kind)

    return {
        "policy_version": by_day(lambda policy: policy.version, "int"),
        "minimum_view_seconds": by_day(lambda policy: policy.minimum_view_seconds, "int"),
        "asks_attestation": by_day(lambda policy: policy.asks_attestation, "boolean"),
    }


def facts_frame(spark: SparkSession, facts: Iterable[tuple[str, VideoFacts]]) -> DataFrame:
    """Return the catalogue's facts as `(video_id, length_seconds, own_viewers)`; owners in their order."""
    kinds = (pa.string(), pa.int32(), _OWN_VIEWERS)
    names = ["video_id", "length_seconds", "own_viewers"]
    rows = [
        (video_id, known.length_seconds, [own._asdict() for own in sorted(known.own_viewers)])
        for video_id, known in facts
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    frame = spark.createDataFrame(pa.table(arrays, names=names))
    return F.broadcast(frame) if len(rows) <= BROADCAST_ROWS_MAX else frame


def judge_alone(events: DataFrame, policies: Mapping[date, CountingPolicy], facts: DataFrame) -> DataFrame:
    """Return `events` with policy_version, quartile and the billability before the cap.

    Same rules in the same order as `counting.judge_billability_alone`, and that of `counting.quartile_of`. `policies`
    are those of the events' days; `facts` has the columns of `facts_frame`.
    """
    eligible_after = (
        F.when(~F.col("revenue_eligible"), Billability.NOT_ELIGIBLE.value)
        .when(F.col("asks_attestation") & ~F.col("attested").eqNullSafe(F.lit(True)), Billability.UNATTESTED.value)
        .when(
            F.col("view_duration") < F.least("minimum_view_seconds", "length_seconds"), Billability.BELOW_MINIMUM.value
        )
        .when(F.exists("own_viewers", _is_own_view), Billability.OWN_VIEW.value)
        .otherwise(Billability.BILLABLE.value)
    )
    return (
        events.withColumns(policy_columns(policies))
        .join(facts.select("video_id", "length_seconds", "own_viewers"), "video_id", "left")
        .withColumn("billability", F.when(F.col("verdict") == "counted", eligible_after))
        .withColumn("quartile", F.expr(_QUARTILE))
        .drop("minimum_view_seconds", "asks_attestation", "length_seconds", "own_viewers")
    )


def with_quartile(events: DataFrame, facts: DataFrame) -> DataFrame:
    """Return judged events with their quartile by the catalogue's facts, if their release did not store any."""
    if "quartile" in events.columns:
        return events
    lengths = facts.select("video_id", "length_seconds")
    return events.join(lengths, "video_id", "left").withColumn("quartile", F.expr(_QUARTILE)).drop("length_seconds")


def _is_own_view(own: Column) -> Column:
    day = F.col("event_day")
    return (own["user_id"] == F.col("user_id")) & (own["from_on"] <= day) & (day < own["to_on"])


def over_cap(billable: DataFrame, paid_before: DataFrame, policies: Mapping[date, CountingPolicy]) -> DataFrame:
    """Return `(partition, offset)` of the billable events that exceed the cap.

    `billable` are the judged days' events that are billable before the cap; `paid_before` the stored billable events
    of the days before them, which do not change. Both have partition, offset, user_id, video_id, event_id,
    happened_at, event_day.
    """
    columns = ("partition", "offset", "user_id", "video_id", "event_id", "happened_at", "event_day")
    views = billable.select(*columns, F.lit(False).alias("is_paid")).unionByName(
        paid_before.select(*columns, F.lit(True).alias("is_paid"))
    )
    keyed = views.withColumn("viewer_hash", F.xxhash64("user_id", "video_id"))
    cap = min((policy.billable_per_viewer_max for policy in policies.values()), default=0)
    # a viewer with no more views than the cap in all days read cannot exceed it
    often = kept(keyed.groupBy("viewer_hash").count().where(F.col("count") > cap).select("viewer_hash"))
    return (
        keyed.join(often.joinable(), "viewer_hash", "left_semi")
        .repartition("user_id", "video_id")
        .sortWithinPartitions("user_id", "video_id", "happened_at", "event_id")
        .select(*columns, "is_paid")
        .mapInArrow(_CapFold(policies), _OVER_CAP)
    )


@dataclass(frozen=True)
class _CapFold:
    """Walks the views of each viewer and video in order and yields those over the cap; memory is one viewer's cap."""

    policies: Mapping[date, CountingPolicy]

    def __call__(self, chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        viewer: tuple[str, str] | None = None
        paid: list[datetime] = []
        keep = max(policy.billable_per_viewer_max for policy in self.policies.values()) if self.policies else 0
        for chunk in chunks:
            dropped: tuple[list[int], list[int]] = ([], [])
            micros = chunk.column("happened_at").cast(pa.int64()).to_pylist()
            names = ("partition", "offset", "user_id", "video_id", "event_day", "is_paid")
            rows = zip(micros, *(chunk.column(name).to_pylist() for name in names), strict=True)
            for instant_micros, partition, offset, user_id, video_id, event_day, is_paid in rows:
                if viewer != (user_id, video_id):
                    viewer, paid = (user_id, video_id), []
                instant = _EPOCH + timedelta(microseconds=instant_micros)
                if is_paid or apply_cap([instant], paid, self.policies[event_day])[0]:
                    # older ones than the last `keep` cannot change the answer
                    paid = [*paid[-(keep - 1) :], instant] if keep > 1 else [instant]
                else:
                    dropped[0].append(partition)
                    dropped[1].append(offset)
            columns = [pa.array(dropped[0], pa.int32()), pa.array(dropped[1], pa.int64())]
            yield pa.RecordBatch.from_arrays(columns, names=["partition", "offset"])


def with_cap(events: DataFrame, dropped: Kept) -> DataFrame:
    """Return `events` with `over_cap` in place of `billable` for the events over the cap."""
    if not dropped.count:
        return events
    marked = dropped.joinable().withColumn("is_over_cap", F.lit(True))
    capped = F.when(F.col("is_over_cap"), Billability.OVER_CAP.value).otherwise(F.col("billability"))
    joined = events.join(marked, ["partition", "offset"], "left")
    return joined.withColumn("billability", capped).drop("is_over_cap")
