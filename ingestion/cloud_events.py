"""Open CloudEvents 1.0: check an event's envelope, and return the view event in its `data`. Pure.

The view event decides; the envelope has no say in what is counted. Its `id` stands for an absent `event_id` and equals
a present one, so that a retry that keeps the `id` is the same event. Its `time` is checked for its form alone: many
senders set it to the instant of sending, while `timestamp` is the instant the view began.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from ingestion.contract.event import Reason, RejectedEvent, event_id_of

ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
EVENT_TYPE = "viewledger.view"
"""The one `type` whose `data` is a view event."""
BINARY_MARK = "ce-specversion"
"""The header that makes the body the `data`, and the headers `ce-…` the other attributes."""

_Filled = Annotated[str, msgspec.Meta(min_length=1)]
_ATTRIBUTES: dict[str, tuple[Any, str]] = {
    "specversion": (Annotated[str, msgspec.Meta(pattern=r"^1\.0\Z")], '"1.0"'),
    "id": (_Filled, "a text that is not empty"),
    "source": (_Filled, "a text that is not empty"),
    "type": (Annotated[str, msgspec.Meta(pattern=rf"^{re.escape(EVENT_TYPE)}\Z")], f'"{EVENT_TYPE}"'),
    "time": (Annotated[datetime, msgspec.Meta(tz=True)], "an instant of RFC 3339 with its zone"),
    "datacontenttype": (Annotated[str, msgspec.Meta(pattern=r"(?i)^application/json(\s*;.*)?\Z")], "application/json"),
}
"""Attribute → its type, and the allowed values in words. All others are ignored."""
_REQUIRED = ("specversion", "id", "source", "type")
_Envelope = msgspec.defstruct(
    "_Envelope", [(name, kind) if name in _REQUIRED else (name, kind, None) for name, (kind, _) in _ATTRIBUTES.items()]
)

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def opened(raw: bytes) -> bytes | RejectedEvent:
    """Return the view event of a CloudEvent in structured mode, or the reasons why its envelope is refused."""
    try:
        members = _decode_members(raw)
        pairs: list[tuple[str, Any]] = json.loads(raw, object_pairs_hook=lambda found: found)
        attributes = {name: _decode_value(members[name]) for name in _ATTRIBUTES if name in members}
    except (ValueError, RecursionError) as error:
        return RejectedEvent((Reason("json_malformed", f"the CloudEvent is not a JSON object ({error})"),))
    if len(pairs) != len(members):
        return RejectedEvent((Reason("duplicate_key", "a key appears twice in the CloudEvent; send it once"),))
    return _event_of({name: value for name, value in attributes.items() if value is not None}, members.get("data"))


def opened_binary(header: Callable[[str], str | None], body: bytes) -> bytes | RejectedEvent:
    """Return the view event of a CloudEvent in binary mode, or the reasons; `header` returns a header's value."""
    sent = {name: header(f"ce-{name}") for name in _ATTRIBUTES if name != "datacontenttype"}
    return _event_of({name: unquote(value) for name, value in sent.items() if value is not None}, body)


def _event_of(attributes: Mapping[str, Any], data: bytes | None) -> bytes | RejectedEvent:
    try:
        msgspec.convert(attributes, _Envelope)
    except msgspec.ValidationError:
        reasons = _reasons(attributes)
    else:
        reasons = []
    if data is None:
        reasons.append(Reason("cloudevent_data_missing", "data: the view event belongs there, as a JSON object"))
    event_id = attributes.get("id")
    if reasons or data is None:
        named = event_id if isinstance(event_id, str) and event_id else None
        return RejectedEvent(tuple(reasons), named and (event_id_of(named) or named))
    return _with_id(bytes(data), str(event_id))


def _reasons(attributes: Mapping[str, Any]) -> list[Reason]:
    """Return a reason for each attribute that is missing or wrong."""
    missing = [name for name in _REQUIRED if name not in attributes]
    reasons = [Reason(f"cloudevent_{name}_missing", f"{name}: a CloudEvent needs it") for name in missing]
    for name, value in attributes.items():
        kind, allowed = _ATTRIBUTES[name]
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            reasons.append(Reason(f"cloudevent_{name}_invalid", f"{name}: it must be {allowed}"))
    return reasons


def _with_id(data: bytes, event_id: str) -> bytes | RejectedEvent:
    """Return the view event with the envelope's id; data that is not an object stays as it is for the decoder."""
    try:
        members = _decode_members(data)
        own = _decode_value(members.get("event_id", _encode(event_id)))
    except (ValueError, RecursionError):
        return data
    if "event_id" not in members:
        return b'{"event_id":' + _encode(event_id) + (b"," if members else b"") + data.lstrip()[1:]
    if isinstance(own, str) and (event_id_of(own) or own) != (event_id_of(event_id) or event_id):
        detail = "id: it must equal the event_id of data, or data has none"
        return RejectedEvent((Reason("cloudevent_id_invalid", detail),), event_id_of(own) or own)
    return data
