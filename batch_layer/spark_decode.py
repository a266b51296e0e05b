"""Decoding archived messages with the contract's own decoder, in Python workers that Spark feeds with Arrow.

There is exactly one decoder, so an event cannot be well-formed in one layer and malformed in another.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from ingestion.contract.counting import LateEvent, Verdict, judge_alone
from ingestion.contract.decoding import decode_view_event, is_video_id
from ingestion.contract.event import RejectedEvent, ViewEvent, payload_digest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR_MICROS = 3_600_000_000
_DAY_MICROS = 24 * _HOUR_MICROS
_INSTANT_MIN = datetime.min.replace(tzinfo=UTC)
UNKNOWN_COUNTRY = "ZZ"
UNKNOWN_DEVICE = "unknown"
UNKNOWN_AD_TYPE = "unknown"

_FIELDS = (
    ("event_id", "string", pa.string()),
    ("video_id", "string", pa.string()),
    ("user_id", "string", pa.string()),
    ("session_id", "string", pa.string()),
    ("happened_at", "timestamp", pa.timestamp("us", "UTC")),
    ("event_day", "date", pa.date32()),
    ("event_hour", "timestamp", pa.timestamp("us", "UTC")),
    ("view_duration", "int", pa.int32()),
    ("revenue_eligible", "boolean", pa.bool_()),
    ("country", "string", pa.string()),
    ("device_type", "string", pa.string()),
    ("ad_types", "array<string>", pa.list_(pa.string())),
    ("payload_digest", "string", pa.string()),
    ("verdict", "string", pa.string()),
    ("reasons", "array<struct<code: string, detail: string>>",
     pa.list_(pa.struct([("code", pa.string()), ("detail", pa.string())]))),
)  # fmt: skip
_PLACE = ("partition", "offset", "appended_at")
COLUMNS = (*_PLACE, *(name for name, _, _ in _FIELDS))
SCHEMA = "partition int, offset bigint, appended_at timestamp, " + ", ".join(
    f"{name} {kind}" for name, kind, _ in _FIELDS
)
_ARROW_SCHEMA = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("appended_at", pa.timestamp("us", "UTC"))]
    + [(name, kind) for name, _, kind in _FIELDS]
)


def decode(raw: DataFrame) -> DataFrame:
    """Return one row of `SCHEMA` for every archived message.

    `verdict` is what an event is by itself: `rejected`, `late_review`, or null for a candidate for counting.
    """
    return raw.select(*_PLACE, "key", "value").mapInArrow(_decode_chunks, SCHEMA)


def _decode_chunks(chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for chunk in chunks:
        appended = chunk.column("appended_at").cast(pa.timestamp("us", "UTC"))
        micros = appended.cast(pa.int64()).to_pylist()
        values = chunk.column("value").to_pylist()
        keys = chunk.column("key").to_pylist()
        rows = [_row(key or b"", value or b"", at) for key, value, at in zip(keys, values, micros, strict=True)]
        columns = zip(*rows, strict=True) if rows else ([] for _ in _FIELDS)
        arrays = [pa.array(column, kind) for column, (_, _, kind) in zip(columns, _FIELDS, strict=True)]
        place = [chunk.column("partition").cast(pa.int32()), chunk.column("offset").cast(pa.int64()), appended]
        yield pa.RecordBatch.from_arrays([*place, *arrays], schema=_ARROW_SCHEMA)


def _row(key: bytes, value: bytes, appended_micros: int) -> tuple[Any, ...]:
    judged = judge_alone(decode_view_event(value), _EPOCH + timedelta(microseconds=appended_micros))
    if isinstance(judged, RejectedEvent):
        reasons = [{"code": reason.code, "detail": reason.detail} for reason in judged.reasons]
        filed, no_more = _filed_under(appended_micros), (None,) * 6
        named = (judged.event_id, _video_of_key(key), None, None, None)
        return (*named, *filed, *no_more, Verdict.REJECTED.value, reasons)
    if isinstance(judged, LateEvent):
        happened = _micros(judged.event.timestamp)
        described = _described(judged.event, happened, _filed_under(appended_micros))
        return (*described, payload_digest(judged.event), Verdict.LATE_REVIEW.value, None)
    happened = _micros(judged.timestamp)
    return (*_described(judged, happened, _filed_under(happened)), payload_digest(judged), None, None)


def _described(event: ViewEvent, happened: int, filed: tuple[int, int]) -> tuple[Any, ...]:
    country = event.geo_location
    if country is None or len(country) != 2 or not (country.isascii() and country.isalpha() and country.isupper()):
        country = UNKNOWN_COUNTRY
    return (
        str(event.event_id),
        event.video_id,
        event.user_id,
        event.session_id,
        happened,
        *filed,
        event.view_duration,
        event.revenue_eligible,
        country,
        UNKNOWN_DEVICE if event.device_type is None else event.device_type,
        [ad_view.ad_type or UNKNOWN_AD_TYPE for ad_view in event.ad_views or ()],
    )


def _video_of_key(key: bytes) -> str | None:
    """Return the video that a message is about by its key, for events of which nothing else can be trusted."""
    text = key.decode("ascii", "replace")
    return text if is_video_id(text) else None


def _filed_under(micros: int) -> tuple[int, int]:
    """Return the UTC day (days since 1970) and hour (microseconds since 1970) that hold an instant."""
    return micros // _DAY_MICROS, micros - micros % _HOUR_MICROS


def _micros(instant: datetime) -> int:
    try:
        return (instant - _EPOCH) // _MICROSECOND
    except OverflowError:  # year 1 with a zone east of Greenwich; such an event is late, its exact time says nothing
        return (_INSTANT_MIN - _EPOCH) // _MICROSECOND
