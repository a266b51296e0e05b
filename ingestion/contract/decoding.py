"""Strict decoding of a Kafka message value to `ViewEvent | RejectedEvent`.

Both runtimes call this one function (the speed layer in its loop, Spark in its decode step), so an event cannot be
well-formed in one layer and malformed in the other. RFC 8259 leaves duplicate keys to the reader; here they reject
the event, because two readers that pick different ones would count differently.

This module reads every version of the event contract. The result for a version, sentences included, never changes.
"""

import functools
import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import force_setattr, replace

from ingestion.contract.attestation import without_attestation
from ingestion.contract.event import (
    ADVERTISEMENTS_MAX,
    EVENT_BYTES_MAX,
    SCHEMA_VERSION_MAX,
    VIDEO_ID_LENGTH_MAX,
    VIDEO_ID_PATTERN,
    AdView,
    Instant,
    Reason,
    RejectedEvent,
    ViewEvent,
    event_id_of,
)
from ingestion.contract.event_contracts import NEWEST, OLDEST
from ingestion.contract.instants import BOUNDS, EARLIEST, LATEST_BEFORE, in_utc

_PERSONAL_FIELDS = frozenset({"user_id", "session_id", "client_network", "user_agent", "referrer"})
_MAY_IDENTIFY = "(value not shown: it may identify a person)"
_WHOLE_YEARS = range(EARLIEST.year + 1, LATEST_BEFORE.year - 1)
NESTING_MAX = 64
"""The deepest allowed nesting of an object. Python's own limit depends on the call stack, so layers would differ."""
_digits_to_cut = re.compile(r"(?<=\.\d{6})\d+", re.ASCII)


class _KnownFields(ViewEvent, frozen=True, gc=False, forbid_unknown_fields=True):
    """`ViewEvent` for the fast path: since every key is known, duplicate keys can be counted; see `_quotes_expected`.

    A cache replaces the regular expression for `video_id`, since ids repeat. `timestamp` is the text as sent, until
    it is known whether it is more precise than a microsecond.
    """

    video_id: str
    timestamp: msgspec.Raw  # type: ignore[assignment]


_decode_known = msgspec.json.Decoder(_KnownFields).decode
_decode_instant = msgspec.json.Decoder(Instant).decode
_decode_any = msgspec.json.Decoder(ViewEvent).decode
_decode_object = msgspec.json.Decoder().decode
_is_video_id_text = re.compile(VIDEO_ID_PATTERN.removesuffix("$")).fullmatch
_FIELD_TYPES: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(ViewEvent)}
_REQUIRED_FIELDS = tuple(field.name for field in msgspec.structs.fields(ViewEvent) if field.required)


@functools.lru_cache(maxsize=1 << 18)
def is_video_id(text: str) -> bool:
    """Return whether `text` is a possible video id; real ids may begin with `-` and `_`."""
    return len(text) <= VIDEO_ID_LENGTH_MAX and _is_video_id_text(text) is not None


def decode_view_event(raw: bytes, contract: int = NEWEST) -> ViewEvent | RejectedEvent:
    """Decode one message value by a version of the event contract; a rejected event lists every reason found.

    Total: if a step raises on any input, the result is a rejected event.
    """
    try:
        return _decode_quickly(raw, contract) or _decode_slowly(raw, contract)
    except Exception as error:  # noqa: BLE001 - total: a message must never stop the messages after it
        return unreadable("the event", error)


def unreadable(name: str, error: Exception) -> RejectedEvent:
    """Return the replacement of a message on which a step failed; `name` identifies the message."""
    return _rejected("event_unreadable", f"{name} cannot be read ({type(error).__name__})")


def _decode_quickly(raw: bytes, contract: int) -> ViewEvent | None:
    """Return a well-formed event with known fields only; None for all other messages, which `_decode_slowly` reads.

    For well-formed events both give the same result: a law test compares them. An attestation is two members more,
    unknown to every version of the contract; the rest has known members only, so none of it is a repeated key.
    """
    known = without_attestation(raw)
    try:
        event = _decode_known(known)
        sent: msgspec.Raw = event.timestamp
        instant = _decode_instant(sent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if known.count(b'"') != _quotes_expected(event) or not is_video_id(event.video_id) or len(raw) > EVENT_BYTES_MAX:
        return None
    if contract != OLDEST:
        # This length allows at most six digits after the point, even before a zone of six characters; an escape only
        # makes it longer. Only from the first and the last year can an offset lead out of bounds.
        is_exact = len(sent) <= 29 or (len(sent) <= 34 and bytes(sent)[-7] in b"+-")
        if not is_exact or instant.year not in _WHOLE_YEARS:
            return None
        if event.ad_views is not None and len(event.ad_views) > ADVERTISEMENTS_MAX:
            return None
        if event.schema_version is not None and event.schema_version > SCHEMA_VERSION_MAX:
            return None
        if instant.tzinfo is not UTC:
            instant = instant.astimezone(UTC)
    force_setattr(event, "timestamp", instant)
    return event


def _quotes_expected(event: ViewEvent) -> int:
    """Return the least number of quotation marks in an object with these fields.

    A repeated key, an escaped quotation mark in a text or a null optional field adds more, and nothing removes any:
    equality proves that there are none of these.
    """
    texts = (
        (event.device_type is not None)
        + (event.geo_location is not None)
        + (event.referrer is not None)
        + (event.quality is not None)
        + (event.received_at is not None)
        + (event.client_network is not None)
        + (event.user_agent is not None)
    )
    # five required texts and two other required fields, then the optional ones
    count = 24 + 4 * texts
    if event.schema_version is not None:
        count += 2
    if event.ad_views is not None:
        count += 2 + sum(_quotes_in_ad_view(ad_view) for ad_view in event.ad_views)
    return count


def _quotes_in_ad_view(ad_view: AdView) -> int:
    return 4 + 4 * (ad_view.ad_type is not None) + 2 * (ad_view.watched_seconds is not None)


class _DuplicateKeyError(ValueError):
    """A key appears twice in one JSON object."""


def _decode_slowly(raw: bytes, contract: int) -> ViewEvent | RejectedEvent:
    sent = _object_of(raw)
    if isinstance(sent, RejectedEvent):
        return sent
    if contract != OLDEST and _nests_too_deeply(sent):
        return _TOO_DEEP
    event_id = sent["event_id"] if isinstance(sent.get("event_id"), str) else None
    if contract != OLDEST and event_id is not None:
        event_id = event_id_of(event_id) or event_id
    try:
        json.loads(raw, object_pairs_hook=refuse_duplicate_keys)
    except _DuplicateKeyError as error:
        return RejectedEvent((Reason("duplicate_key", str(error)),), event_id)
    except (ValueError, RecursionError):
        return RejectedEvent((Reason("json_malformed", "JSON is malformed"),), event_id)
    further = [] if contract == OLDEST else _reasons_of_the_newest(sent)
    try:
        event = _decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RejectedEvent(_reasons(sent, further), event_id)
    if further:
        return RejectedEvent(tuple(further), event_id)
    return event if contract == OLDEST else replace(event, timestamp=_exact_instant(sent["timestamp"]))


def _object_of(raw: bytes) -> dict[str, Any] | RejectedEvent:
    if len(raw) > EVENT_BYTES_MAX:
        return _rejected("body_too_large", f"the event has {len(raw)} bytes; at most {EVENT_BYTES_MAX} are allowed")
    try:
        sent = _decode_object(raw)
    except UnicodeDecodeError as error:
        return _rejected("json_malformed", f"not UTF-8 at byte {error.start} of a text")
    except msgspec.DecodeError as error:
        return _rejected("json_malformed", str(error))
    except RecursionError:
        return _TOO_DEEP
    if not isinstance(sent, dict):
        return _rejected("json_not_an_object", f"expected one JSON object, got {type(sent).__name__}")
    return sent


def _nests_too_deeply(sent: dict[str, Any]) -> bool:
    level: list[Any] = [sent]
    for _ in range(NESTING_MAX + 1):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True


def _exact_instant(text: str) -> datetime:
    """Return the instant of a timestamp, cut to the microsecond; raise ValueError if it is out of bounds."""
    return in_utc(msgspec.convert(_digits_to_cut.sub("", text), Instant))


def _reasons_of_the_newest(sent: dict[str, Any]) -> list[Reason]:
    """Return the reasons that only the newest contract has, for fields that keep the oldest."""
    reasons = []
    timestamp, ad_views, schema = sent.get("timestamp"), sent.get("ad_views"), sent.get("schema_version")
    try:
        if isinstance(timestamp, str):
            _exact_instant(timestamp)
    except msgspec.ValidationError:
        pass  # already reported
    except ValueError:
        reasons.append(Reason("timestamp_invalid", f"timestamp: it must lie {BOUNDS}, got {_shortened(timestamp)}"))
    if isinstance(ad_views, list) and len(ad_views) > ADVERTISEMENTS_MAX:
        text = f"ad_views: the event has {len(ad_views)}; at most {ADVERTISEMENTS_MAX} are allowed"
        reasons.append(Reason("ad_views_too_many", text))
    if isinstance(schema, int) and schema > SCHEMA_VERSION_MAX:
        reasons.append(Reason("schema_version_invalid", f"schema_version: at most {SCHEMA_VERSION_MAX} is allowed"))
    return reasons


def _rejected(code: str, detail: str) -> RejectedEvent:
    return RejectedEvent((Reason(code, detail),))


_TOO_DEEP = _rejected("json_malformed", "nested too deeply")


def refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, for `json.loads`; raise ValueError with a sentence if a key is repeated."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:  # the first repeated key, as in the reasons of archived events
                raise _DuplicateKeyError(f"the key {key[:64]!r} stands twice in one object")
            seen.add(key)
    return found


def _reasons(sent: dict[str, Any], further: list[Reason]) -> tuple[Reason, ...]:
    """Return every field's own reason; called only for objects that failed as a whole, so at least one is found."""
    reasons = [
        Reason(f"{name}_missing", f"{name}: the field is required") for name in _REQUIRED_FIELDS if name not in sent
    ]
    for name, value in sent.items():
        if name in _FIELD_TYPES:
            try:
                msgspec.convert(value, _FIELD_TYPES[name])
            except msgspec.ValidationError as error:
                shown = _MAY_IDENTIFY if name in _PERSONAL_FIELDS else f"got {_shortened(value)}"
                reasons.append(Reason(f"{name}_invalid", f"{name}: {_in_words(error)}, {shown}"))
    return tuple(reasons + further) or (Reason("event_invalid", "the event breaks the contract"),)


def _in_words(error: msgspec.ValidationError) -> str:
    """Return the reason in words, without the regular expression; the contract's only one is that of a video's id."""
    text, pattern, _ = str(error).partition(" matching regex ")
    return f"{text} of letters, digits, - and _ alone" if pattern else text


def _shortened(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
