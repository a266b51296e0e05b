"""A chunk: messages of one partition, judged, ready to be applied in one step. Pure."""

from bisect import bisect_left
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Protocol

from ingestion.contract.attestation import Attested, attestation_of
from ingestion.contract.counting import CLOCK_TOLERANCE, LATE_AFTER, LateEvent, judge_alone
from ingestion.contract.decoding import decode_view_event, unreadable
from ingestion.contract.event import RejectedEvent, ViewEvent
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.priced_fields import is_country_unknown
from ingestion.contract.traffic import invalid_reason

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogRecord(Protocol):
    """One message of the log."""

    @property
    def offset(self) -> int:
        """Its offset in the partition."""

    @property
    def timestamp(self) -> int:
        """The broker's append time in milliseconds."""

    @property
    def value(self) -> bytes | None:
        """The message's bytes; None is Kafka's tombstone."""


@dataclass(frozen=True)
class Rejection:
    """A message that breaks the contract, and its offset."""

    record: LogRecord
    event: RejectedEvent


@dataclass(frozen=True)
class Span:
    """Messages of one partition and the offsets `[position, next_position)` that they cover; the list may be empty."""

    partition: int
    position: int
    next_position: int
    generation: int
    records: Sequence[LogRecord]


@dataclass(frozen=True)
class Chunk:
    """A judged span. Apply it only if the stored position equals the span's."""

    span: Span
    candidates: Mapping[bytes, str] = field(default_factory=dict)
    """Event id → video id."""
    invalid: Collection[bytes] = ()
    """The candidates that are invalid traffic: their ids are remembered, and they are not counted."""
    unknown_videos: Collection[str] = ()
    """The videos of the valid candidates that are not in the catalogue."""
    duplicates: int = 0
    """Events whose id already appeared in this chunk."""
    late: int = 0
    rejections: Sequence[Rejection] = ()
    sessions: Sequence[str] = ()
    """Session ids of the valid candidates."""
    unknown_countries: int = 0
    """Events whose country is not a known country."""
    attestations: Mapping[Attested, int] = field(default_factory=dict)
    """The candidates and repeats by whether somebody vouches for them."""

    @property
    def appended_at_ms(self) -> int | None:
        """Append time of the last message; None without messages."""
        return self.span.records[-1].timestamp if self.span.records else None


def spans(
    records: Sequence[LogRecord], *, partition: int, offsets: tuple[int, int], segment: int, generation_ms: int
) -> list[Span]:
    """Split the records of the offsets `[position, end)` so that no span crosses a generation or the segment's start.

    The result is nearly always one span. The spans together cover the offsets without a gap; `records` may be empty.
    """
    position, end = offsets
    if not position < segment < end:
        return _by_generation(records, partition, offsets, generation_ms)
    index = bisect_left(records, segment, key=lambda record: record.offset)
    before = _by_generation(records[:index], partition, (position, segment), generation_ms)
    return before + _by_generation(records[index:], partition, (segment, end), generation_ms)


def _by_generation(
    records: Sequence[LogRecord], partition: int, offsets: tuple[int, int], generation_ms: int
) -> list[Span]:
    position, end = offsets
    if not records:
        return [Span(partition, position, end, 0, records)]
    generation = records[-1].timestamp // generation_ms
    if records[0].timestamp // generation_ms == generation:
        return [Span(partition, position, end, generation, records)]
    found: list[Span] = []
    # Append times never go back unless the broker's clock did; a generation must not go back even then.
    generations = accumulate((record.timestamp // generation_ms for record in records), max)
    for generation, group in groupby(zip(generations, records, strict=True), key=itemgetter(0)):
        part = [record for _, record in group]
        next_position = end if part[-1] is records[-1] else part[-1].offset + 1
        found.append(Span(partition, position, next_position, generation, part))
        position = next_position
    return found


def judge(
    span: Span,
    contracts: EventContracts,
    *,
    catalogue: Container[str] = (),
    attestation_keys: Mapping[str, bytes] | None = None,
) -> Chunk:
    """Decode and judge each message of a span; the first one with an id is that id's candidate.

    With keys, it is checked who vouches for each. That decides nothing about the count.
    """
    records = span.records
    if not records:
        return Chunk(span)
    candidates: dict[bytes, str] = {}
    invalid: set[bytes] = set()
    sessions: list[str] = []
    rejections: list[Rejection] = []
    attestations = dict.fromkeys(Attested, 0)
    duplicates = late = unknown_countries = 0
    # An event within these bounds is in time for every append time of the chunk: the usual two comparisons.
    append_times = [record.timestamp for record in records]
    in_time_from = instant_of(max(append_times)) - LATE_AFTER
    in_time_until = instant_of(min(append_times)) + CLOCK_TOLERANCE
    for record in records:
        judged: ViewEvent | RejectedEvent | LateEvent
        try:
            contract = contracts.version_at(span.partition, record.offset)
            judged = decode_view_event(record.value or b"", contract)
            if isinstance(judged, ViewEvent) and not in_time_from <= judged.timestamp <= in_time_until:
                judged = judge_alone(judged, instant_of(record.timestamp))
            is_invalid = isinstance(judged, ViewEvent) and invalid_reason(judged, contract) is not None
        except Exception as error:  # noqa: BLE001 - total: a message must never stop its partition
            judged = unreadable(f"message {span.partition}:{record.offset}", error)
        if isinstance(judged, RejectedEvent):
            rejections.append(Rejection(record, judged))
            continue
        if isinstance(judged, LateEvent):
            late += 1
            continue
        event = judged
        if attestation_keys:
            attestations[attestation_of(record.value or b"", attestation_keys)] += 1
        unknown_countries += is_country_unknown(event)
        event_id = event.event_id.bytes
        if event_id in candidates:
            duplicates += 1
            continue
        candidates[event_id] = event.video_id
        if is_invalid:
            invalid.add(event_id)
        else:
            sessions.append(event.session_id)
    unknown = dict.fromkeys(
        video_id
        for event_id, video_id in candidates.items()
        if video_id not in catalogue and event_id not in invalid
    )  # fmt: skip
    return Chunk(
        span, candidates, invalid, unknown, duplicates, late, rejections, sessions, unknown_countries, attestations
    )


def instant_of(milliseconds: int) -> datetime:
    """Return the instant of a broker's timestamp, exact to the millisecond."""
    return EPOCH + timedelta(milliseconds=milliseconds)
