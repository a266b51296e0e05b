"""Describe the view event for senders: what each field means, and the contract as JSON Schema 2020-12. Pure.

Types and bounds are read from the structs that decode events, so they cannot differ. The meanings are kept here alone.
"""

from typing import Any

import msgspec

from ingestion.contract.event import (
    ADVERTISEMENTS_MAX,
    EVENT_BYTES_MAX,
    EVENT_ID_PATTERN,
    SCHEMA_VERSION_MAX,
    VIDEO_ID_PATTERN,
    AdView,
    ViewEvent,
)
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.plays import PLAY_FIELD, TOKEN_LENGTH_MAX

MEANINGS = {
    "event_id": "names the view; made by the player, and the same on every retry",
    "video_id": "the video that was watched",
    "user_id": "the viewer; the collector replaces it by a pseudonym",
    "session_id": "the viewer's session in the player; the collector replaces it by a pseudonym",
    "timestamp": "when the view began, with its zone",
    "view_duration": "how long the video was watched, in whole seconds",
    "revenue_eligible": "whether the video earns money where and when it was watched",
    "device_type": "the kind of device: tv, phone and so on",
    "geo_location": "the country of the viewer, as a code of ISO 3166",
    "referrer": "the page that the viewer came from; the collector keeps its host",
    "quality": "the quality that was played: 1080p and so on",
    "ad_views": "the advertisements that were shown during the view",
    "schema_version": "the version of the player's own format; 1 where it is absent",
    "received_at": "when the event was received; the collector sets it, whatever was sent",
    "client_network": "the network of the client; the collector sets it, whatever was sent",
    "user_agent": "the agent of the client; the collector sets it, whatever was sent",
}
AD_MEANINGS = {
    "ad_id": "names the advertisement; each counts once in a view",
    "ad_type": "its type, by which it is paid; unknown where it is absent",
    "watched_seconds": "how long it was watched, in whole seconds",
}
PLAY_MEANING = "the token of a signed play; the fields that it claims are then neither needed nor read"
CLAIMED = ("event_id", "video_id", "user_id", "session_id", "timestamp", "revenue_eligible", "geo_location")
"""The fields that a play claims."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ZONE = r"([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
INSTANT_PATTERN = rf"^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]{_TIME}{_ZONE}$"
"""The form of an instant. That the day exists, and lies within the bounds, no pattern can say."""
_BOUNDS: dict[str, dict[str, Any]] = {
    "event_id": {"pattern": EVENT_ID_PATTERN},
    "video_id": {"pattern": VIDEO_ID_PATTERN},
    "timestamp": {"pattern": INSTANT_PATTERN},
    "ad_views": {"maxItems": ADVERTISEMENTS_MAX},
    "schema_version": {"maximum": SCHEMA_VERSION_MAX},
}
"""Field → bounds that the decoder checks by itself, or that a schema writes in another way."""


def event_schema() -> dict[str, Any]:
    """Return the contract in force as a JSON Schema, for one event as it is sent over HTTP."""
    (_, components) = msgspec.json.schema_components([ViewEvent, AdView], ref_template="#/$defs/{name}")
    event, advertisement = components["ViewEvent"], components["AdView"]
    values = {name: _value(each, _BOUNDS.get(name, {})) for name, each in event["properties"].items()}
    described = {name: {"description": text} for name, text in MEANINGS.items()}
    for name in values.keys() - set(CLAIMED):
        described[name] |= values[name]
    token = {"description": PLAY_MEANING, "type": "string", "maxLength": TOKEN_LENGTH_MAX}
    return {
        "$schema": DIALECT,
        "$id": f"urn:viewledger:view-event:{NEWEST}",
        "title": "View event",
        "description": "One view of one video. Fields that are not listed are kept and are not an error.",
        "$comment": (
            f"A schema cannot say all: an event has at most {EVENT_BYTES_MAX} bytes, no key twice in one object, whole "
            "numbers without a fraction or an exponent (60, not 60.0), and a timestamp that exists, in the years from "
            "1970 to 9998."
        ),
        "type": "object",
        "properties": {**described, PLAY_FIELD: token},
        "required": [name for name in event["required"] if name not in CLAIMED],
        "if": {"not": {"required": [PLAY_FIELD]}},
        "then": {
            "properties": {name: values[name] for name in CLAIMED},
            "required": [name for name in event["required"] if name in CLAIMED],
        },
        "$defs": {
            "AdView": {
                "type": "object",
                "properties": {
                    name: {"description": AD_MEANINGS[name], **_value(each, {})}
                    for name, each in advertisement["properties"].items()
                },
                "required": advertisement["required"],
            }
        },
    }


def _value(made: dict[str, Any], bounds: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value; one that may be absent may also be null."""
    options = made.get("anyOf", (made,))
    value = {name: text for name, text in options[0].items() if name not in ("format", "pattern")} | bounds
    return value if len(options) == 1 else {"anyOf": [value, {"type": "null"}]}
