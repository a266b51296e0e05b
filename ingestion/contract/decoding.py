"""Strict decoding of a Kafka message value to `ViewEvent | RejectedEvent`.

Both runtimes call this one function (the speed layer in its loop, Spark in its decode step), so an event cannot be
well-formed in one layer and malformed in the other. RFC 8259 leaves duplicate keys to the reader; here they reject
the event, because two readers that pick different ones would count differently.
"""

import functools
import json
import re
from typing import Any

import msgspec

from ingestion.contract.event import (
    EVENT_BYTES_MAX,
    VIDEO_ID_LENGTH_MAX,
    VIDEO_ID_PATTERN,
    AdView,
    Reason,
    RejectedEvent,
    ViewEvent,
)

_PERSONAL_FIELDS = frozenset({"user_id", "session_id", "client_network", "user_agent", "referrer"})
_MAY_IDENTIFY = "(value not shown: it may identify a person)"


class _KnownFields(ViewEvent, frozen=True, gc=False, forbid_unknown_fields=True):
    """`ViewEvent` for the quick way: knowing every key makes duplicate keys countable; see `_quotes_expected`.

    The pattern of `video_id` is checked by a cache instead of a regular expression, since ids repeat.
    """

    video_id: str


_decode_known = msgspec.json.Decoder(_KnownFields).decode
_decode_any = msgspec.json.Decoder(ViewEvent).decode
_decode_object = msgspec.json.Decoder().decode
_is_video_id_text = re.compile(VIDEO_ID_PATTERN.removesuffix("$")).fullmatch
_FIELD_TYPES: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(ViewEvent)}
_REQUIRED_FIELDS = tuple(field.name for field in msgspec.structs.fields(ViewEvent) if field.required)


@functools.lru_cache(maxsize=1 << 18)
def is_video_id(text: str) -> bool:
    """Return whether `text` is a possible video id; real ids begin with `-` and `_` too."""
    return len(text) <= VIDEO_ID_LENGTH_MAX and _is_video_id_text(text) is not None


def decode_view_event(raw: bytes) -> ViewEvent | RejectedEvent:
    """Decode one message value. Never raises on any input; a rejected event lists every reason found.

    The quick way takes well-formed events of known fields only and hands all others to `_decode_slowly`, which gives
    the same answer for them: a law test holds the two against each other.
    """
    try:
        event = _decode_known(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_slowly(raw)
    if raw.count(b'"') == _quotes_expected(event) and is_video_id(event.video_id) and len(raw) <= EVENT_BYTES_MAX:
        return event
    return _decode_slowly(raw)


def _quotes_expected(event: ViewEvent) -> int:
    """Return how many quotation marks an object with these fields has at least.

    It has more if a key stands twice, a text holds an escaped quotation mark or an optional field is null; none of
    them makes it fewer, so equality proves that there are none.
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
    # five required texts and two required others, then what is optional
    count = 24 + 4 * texts
    if event.schema_version is not None:
        count += 2
    if event.ad_views is not None:
        count += 2 + sum(_quotes_in_ad_view(ad_view) for ad_view in event.ad_views)
    return count


def _quotes_in_ad_view(ad_view: AdView) -> int:
    return 4 + 4 * (ad_view.ad_type is not None) + 2 * (ad_view.watched_seconds is not None)


class _DuplicateKeyError(ValueError):
    """A key stands twice in one JSON object."""


def _decode_slowly(raw: bytes) -> ViewEvent | RejectedEvent:
    if len(raw) > EVENT_BYTES_MAX:
        return _rejected("body_too_large", f"the event has {len(raw)} bytes; at most {EVENT_BYTES_MAX} are allowed")
    try:
        sent = _decode_object(raw)
    except UnicodeDecodeError as error:
        return _rejected("json_malformed", f"not UTF-8 at byte {error.start} of a text")
    except msgspec.DecodeError as error:
        return _rejected("json_malformed", str(error))
    except RecursionError:
        return _rejected("json_malformed", "nested too deeply")
    if not isinstance(sent, dict):
        return _rejected("json_not_an_object", f"expected one JSON object, got {type(sent).__name__}")
    event_id = sent["event_id"] if isinstance(sent.get("event_id"), str) else None
    try:
        json.loads(raw, object_pairs_hook=_refuse_duplicate_keys)
    except _DuplicateKeyError as error:
        return RejectedEvent((Reason("duplicate_key", str(error)),), event_id)
    except (ValueError, RecursionError):
        return RejectedEvent((Reason("json_malformed", "JSON is malformed"),), event_id)
    try:
        return _decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RejectedEvent(_reasons(sent), event_id)


def _rejected(code: str, detail: str) -> RejectedEvent:
    return RejectedEvent((Reason(code, detail),))


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        # `add` returns None; counting each key instead would take time that grows with the square of their number.
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _DuplicateKeyError(f"the key {twice[:64]!r} stands twice in one object")
    return found


def _reasons(sent: dict[str, Any]) -> tuple[Reason, ...]:
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
    return tuple(reasons) or (Reason("event_invalid", "the event breaks the contract"),)


def _in_words(error: msgspec.ValidationError) -> str:
    """Return what is wrong without the regular expression; the only one of the contract is that of a video's id."""
    text, pattern, _ = str(error).partition(" matching regex ")
    return f"{text} of letters, digits, - and _ alone" if pattern else text


def _shortened(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
