"""Decode archived messages with the contract's own decoder, in Python workers that Spark feeds with Arrow.

There is exactly one decoder, so an event cannot be well-formed in one layer and malformed in another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.batch_keys import Reading
from ingestion.contract.counting import LateEvent, Verdict, judge_alone
from ingestion.contract.countries import UNKNOWN_COUNTRY
from ingestion.contract.decoding import decode_view_event, is_video_id, unreadable
from ingestion.contract.event import Reason, RejectedEvent, ViewEvent, payload_digest
from ingestion.contract.offsets import LogPlace
from ingestion.contract.priced_fields import ad_types_by, country_by, is_country_unknown
from ingestion.contract.traffic import invalid_reason, load_lists
from ingestion.contract.traits import Traits, traits_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR_MICROS = 3_600_000_000
_DAY_MICROS = 24 * _HOUR_MICROS
UNKNOWN_DEVICE = "unknown"

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
    ("payload_digest", "binary", pa.binary()),
    ("verdict", "string", pa.string()),
    ("reasons", "array<struct<code: string, detail: string>>",
     pa.list_(pa.struct([("code", pa.string()), ("detail", pa.string())]))),
    ("is_country_unknown", "boolean", pa.bool_()),
    ("network", "string", pa.string()),
    ("network_kind", "string", pa.string()),
    ("agent", "string", pa.string()),
    ("agent_class", "string", pa.string()),
    ("referrer_host", "string", pa.string()),
    ("quality", "string", pa.string()),
    ("ad_seconds", "int", pa.int32()),
    ("attested", "boolean", pa.bool_()),
)  # fmt: skip
_PLACE = ("partition", "offset", "appended_at")
_OF_PERSON = ("user_id", "session_id", *Traits._fields)
PERSON = ("viewer_hash", *_OF_PERSON)
"""The columns that the table of viewers has; null for rejected events."""
_NOT_STORED = frozenset({"is_country_unknown", *_OF_PERSON})
COLUMNS = (*_PLACE, "id_hash", *(name for name, _, _ in _FIELDS if name not in _NOT_STORED))
"""The columns of the events table, before an event is compared with others."""
_NO_TRAITS = (None,) * len(Traits._fields)
SCHEMA = "partition int, offset bigint, appended_at timestamp, " + ", ".join(
    f"{name} {kind}" for name, kind, _ in _FIELDS
)
_ARROW_SCHEMA = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("appended_at", pa.timestamp("us", "UTC"))]
    + [(name, kind) for name, _, kind in _FIELDS]
)


def decode(raw: DataFrame, reading: Reading) -> DataFrame:
    """Return one row for every archived message, read by the event contract and the keys in force at its place.

    It has `COLUMNS`, `PERSON` and is_country_unknown. `verdict` is the result for an event by itself: `rejected`,
    `late_review`, or null for a candidate for counting. `reasons` of an event that is not rejected say why it is
    invalid traffic, in case that it would be counted.
    """
    rows = raw.select(*_PLACE, "key", "value").mapInArrow(_Decoder(reading), SCHEMA)
    hashes = {
        "id_hash": "if(event_id IS NULL, NULL, xxhash64(event_id))",
        "viewer_hash": "if(user_id IS NULL, NULL, xxhash64(user_id, video_id))",
    }
    return rows.withColumns({name: F.expr(value) for name, value in hashes.items()})


@dataclass(frozen=True)
class _Decoder:
    reading: Reading

    def __call__(self, chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        load_lists()  # a broken one fails the run, not its events
        for chunk in chunks:
            appended = chunk.column("appended_at").cast(pa.timestamp("us", "UTC"))
            micros = appended.cast(pa.int64()).to_pylist()
            names = ("key", "value", "partition", "offset")
            sent = zip(*(chunk.column(name).to_pylist() for name in names), micros, strict=True)
            rows = [
                (*self._row(key or b"", value or b"", (part, offset), at), self._is_attested(value, part, offset))
                for key, value, part, offset, at in sent
            ]
            columns = zip(*rows, strict=True) if rows else ([] for _ in _FIELDS)
            arrays = [pa.array(column, kind) for column, (_, _, kind) in zip(columns, _FIELDS, strict=True)]
            place = [chunk.column("partition").cast(pa.int32()), chunk.column("offset").cast(pa.int64()), appended]
            yield pa.RecordBatch.from_arrays([*place, *arrays], schema=_ARROW_SCHEMA)

    def _row(self, key: bytes, value: bytes, place: LogPlace, appended_micros: int) -> tuple[Any, ...]:
        try:
            return self._described_message(key, value, place, appended_micros)
        except Exception as error:  # noqa: BLE001 - total: a message must never stop a run
            name = f"message {place[0]}:{place[1]}"
            return _rejected_row(key, unreadable(name, error), appended_micros)

    def _is_attested(self, value: bytes | None, partition: int, offset: int) -> bool:
        return value is not None and self.reading.attestation.is_attested(value, partition, offset)

    def _described_message(self, key: bytes, value: bytes, place: LogPlace, appended_micros: int) -> tuple[Any, ...]:
        contract = self.reading.contracts.version_at(*place)
        received_at = _EPOCH + timedelta(microseconds=appended_micros)
        judged = judge_alone(decode_view_event(value, contract), received_at)
        if isinstance(judged, RejectedEvent):
            return _rejected_row(key, judged, appended_micros)
        if isinstance(judged, LateEvent):
            event, filed, verdict = judged.event, _filed_under(appended_micros), Verdict.LATE_REVIEW.value
            row = _described(event, contract, filed, verdict)
        else:
            event, row = judged, _described(judged, contract, None, None)
        return (*row, *traits_of(event, value, _day_of(event), self.reading.traits_key))


def _rejected_row(key: bytes, rejected: RejectedEvent, appended_micros: int) -> tuple[Any, ...]:
    reasons = _reasons(rejected.reasons)
    named = (rejected.event_id, _video_of_key(key), None, None, None)
    no_more = (None,) * 6
    return (*named, *_filed_under(appended_micros), *no_more, Verdict.REJECTED.value, reasons, False, *_NO_TRAITS)


def _described(event: ViewEvent, contract: int, filed: tuple[int, int] | None, verdict: str | None) -> tuple[Any, ...]:
    """Return the row of a well-formed event, filed under its own day and hour unless others are given."""
    happened = _micros_of(event)
    country = country_by(contract, event)
    invalid = invalid_reason(event, contract)
    return (
        str(event.event_id),
        event.video_id,
        event.user_id,
        event.session_id,
        happened,
        *(filed or _filed_under(happened)),
        event.view_duration,
        event.revenue_eligible,
        country,
        UNKNOWN_DEVICE if event.device_type is None else event.device_type,
        ad_types_by(contract, event) if event.ad_views else [],
        bytes.fromhex(payload_digest(event)),
        verdict,
        None if invalid is None else _reasons([invalid.reason]),
        country == UNKNOWN_COUNTRY and is_country_unknown(event),
    )


def _micros_of(event: ViewEvent) -> int:
    return (event.timestamp - _EPOCH) // _MICROSECOND


def _day_of(event: ViewEvent) -> int:
    """Return the UTC day on which a view began, also of an event that is filed under another one."""
    return _micros_of(event) // _DAY_MICROS


def _reasons(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code, "detail": reason.detail} for reason in reasons]


def _video_of_key(key: bytes) -> str | None:
    """Return the video in a message's key, for events whose other fields cannot be trusted."""
    text = key.decode("ascii", "replace")
    return text if is_video_id(text) else None


def _filed_under(micros: int) -> tuple[int, int]:
    """Return the UTC day (days since 1970) and hour (microseconds since 1970) that hold an instant."""
    return micros // _DAY_MICROS, micros - micros % _HOUR_MICROS
