"""Group settled events by payee: join them with owners and rate cards, then gather them into pieces."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Protocol

import msgspec
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import BROADCAST_ROWS_MAX
from batch_layer.settled.outcome_sql import OUTCOME
from ingestion.contract.counting import Billability, Verdict, VideoFacts
from ingestion.contract.periods import Period
from ingestion.contract.settled import CardDays, OwnedDays, SettledPiece

PIECE_IDS_MAX = 2_000
PIECES_PACKED_MAX = 500
_BILLABLE = Billability.BILLABLE.value
_BELOW_MINIMUM = Billability.BELOW_MINIMUM.value
_ORDER = ("payee_id", "video_id", "owned_from_on", "effective_from_on", "country", "policy_version")
_DEFAULT_COUNTRY = "*"
_OWNER = pa.schema(
    [
        ("owned_video_id", pa.string()),
        ("payee_id", pa.string()),
        ("share_ppm", pa.int32()),
        ("owned_from_on", pa.date32()),
        ("owned_to_on", pa.date32()),
        ("contract_index", pa.int32()),
        ("length_seconds", pa.int32()),
    ]
)
_CARD = pa.schema(
    [
        ("of_contract", pa.int32()),
        ("effective_from_on", pa.date32()),
        ("card_from_on", pa.date32()),
        ("card_to_on", pa.date32()),
        ("minimum_view_seconds", pa.int32()),
        ("countries", pa.list_(pa.string())),
    ]
)


class AttributionRows(Protocol):
    """The owners and rate cards of a period; rows of `owners` and `cards` in the order of the schemas above."""

    @property
    def period(self) -> Period:
        """Return the period."""

    def owners(self) -> Iterable[OwnedDays]:
        """Yield every share of a video that touches the period, cut to it."""

    def facts(self) -> Iterable[tuple[str, VideoFacts]]:
        """Yield the facts that decide which views of a video are billable."""

    def cards(self) -> Iterable[CardDays]:
        """Yield every rate card that is in force on some day of the period, cut to it."""


_unpack = msgspec.msgpack.Decoder(list[SettledPiece]).decode


def with_outcomes(events: DataFrame, period: Period) -> DataFrame:
    """Return the period's events by their own day, each with its outcome as text.

    A late event belongs to the day of its own timestamp; its `event_day` is the day it was received.
    """
    is_late = F.col("verdict") == Verdict.LATE_REVIEW.value
    day = F.when(is_late, F.to_date("happened_at")).otherwise(F.col("event_day"))
    columns = ("event_id", "video_id", "country", "view_duration", "policy_version", "ad_types")
    return events.select(day.alias("day"), F.expr(OUTCOME).alias("outcome"), *columns).where(
        within(F.col("day"), period)
    )


def placed(events: DataFrame, attribution: AttributionRows) -> DataFrame:
    """Return the events once for every owner on their day, with the card in force; nulls without any.

    `events` need video_id and day.
    """
    spark = events.sparkSession
    owners, cards = _frame(spark, attribution.owners(), _OWNER), _frame(spark, attribution.cards(), _CARD)
    day = F.col("day")
    is_owned = (F.col("video_id") == F.col("owned_video_id")) & (day >= F.col("owned_from_on"))
    is_in_force = (F.col("contract_index") == F.col("of_contract")) & (day >= F.col("card_from_on"))
    return events.join(owners, is_owned & (day < F.col("owned_to_on")), "left").join(
        cards, is_in_force & (day < F.col("card_to_on")), "left"
    )


def pieces_of(events: DataFrame, attribution: AttributionRows) -> DataFrame:
    """Return packed pieces of all rows of `with_outcomes` that have an owner and a card, in their order."""
    has_own_rate = F.array_contains("countries", F.col("country"))
    # least() skips nulls: without a length only the card's minimum counts
    is_short = F.col("view_duration") < F.least("minimum_view_seconds", "length_seconds")
    is_stricter = F.col("minimum_view_seconds").isNotNull() & is_short
    outcome = F.when((F.col("outcome") == _BILLABLE) & is_stricter, _BELOW_MINIMUM).otherwise(F.col("outcome"))
    return (
        placed(events, attribution)
        .where("payee_id IS NOT NULL AND effective_from_on IS NOT NULL")
        .select(
            "payee_id",
            "video_id",
            F.unix_date("owned_from_on").alias("owned_from_on"),
            F.unix_date("effective_from_on").alias("effective_from_on"),
            F.when(has_own_rate, F.col("country")).otherwise(_DEFAULT_COUNTRY).alias("country"),
            "policy_version",
            F.unix_date("owned_to_on").alias("owned_to_on"),
            "share_ppm",
            outcome.alias("outcome"),
            F.when(outcome == _BILLABLE, F.col("event_id")).alias("event_id"),
            F.when((outcome == _BILLABLE) & (F.size("ad_types") > 0), F.col("ad_types")).alias("ads"),
        )
        .orderBy(*_ORDER, "event_id")
        .mapInArrow(_gather, "packed binary")
    )


def unpacked(rows: Iterable[Any]) -> Iterator[SettledPiece]:
    """Yield the pieces of the rows of `pieces_of`."""
    for row in rows:
        yield from _unpack(bytes(row[0]))


def within(day: Column, period: Period) -> Column:
    """Return whether a day lies in a period."""
    return (day >= F.lit(period.start_on)) & (day < F.lit(period.end_on))


def _frame(spark: SparkSession, rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> DataFrame:
    columns: Sequence[Any] = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    frame = spark.createDataFrame(pa.Table.from_arrays(arrays, schema=schema))
    return F.broadcast(frame) if len(columns[0]) <= BROADCAST_ROWS_MAX // 5 else frame


def _gather(chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Fold sorted events into pieces and yield them packed; memory is one packet."""
    key: list[Any] | None = None
    outcomes, ads, ids = Counter[str](), Counter[str](), list[str]()
    packet: list[SettledPiece] = []
    for chunk in chunks:
        columns = [column.to_pylist() for column in chunk.columns]
        for *fields, outcome, event_id, shown in zip(*columns, strict=True):
            if fields != key or len(ids) >= PIECE_IDS_MAX:
                if key is not None:
                    packet.append(_piece(key, outcomes, ads, ids))
                    outcomes, ads, ids = Counter(), Counter(), []
                key = fields
                if len(packet) >= PIECES_PACKED_MAX:
                    yield _packed(packet)
                    packet = []
            outcomes[outcome] += 1
            if event_id is not None:
                ids.append(event_id)
            if shown is not None:
                ads.update(shown)
    if key is not None:
        packet.append(_piece(key, outcomes, ads, ids))
        yield _packed(packet)


def _piece(key: Sequence[Any], outcomes: Counter[str], ads: Counter[str], ids: list[str]) -> SettledPiece:
    payee_id, video_id, from_days, effective_days, country, policy_version, to_days, share_ppm = key
    from_on, effective_from_on, to_on = map(_day, (from_days, effective_days, to_days))
    place = (payee_id, video_id, from_on, effective_from_on, country, policy_version, to_on, share_ppm)
    return SettledPiece(*place, dict(outcomes), dict(ads), ids)


def _day(days_since_1970: int) -> date:
    return date.fromordinal(719_163 + days_since_1970)


def _packed(packet: list[SettledPiece]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([msgspec.msgpack.encode(packet)], pa.binary())], names=["packed"])
