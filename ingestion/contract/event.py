"""The view event on Kafka, and the record that replaces it when it breaks the contract.

The wire form is one JSON object per message; the message key is the `video_id`. Topic names live here because every
layer uses them.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

EVENT_BYTES_MAX = 64 * 1024
EVENT_ID_PATTERN = r"^[0-9a-fA-F]{8}(-?)(?:[0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}$"
VIDEO_ID_PATTERN = r"^[a-zA-Z0-9_-]+$"
VIDEO_ID_LENGTH_MAX = 64
VIEW_DURATION_SECONDS_MAX = 86_400
ADVERTISEMENTS_MAX = 50
"""Advertisements in one event: more than a film of three hours with a break every ten minutes shows."""
SHORT_TEXT_LENGTH_MAX = 64
"""Of a type of device or advertisement, among others."""
SCHEMA_VERSION_MAX = 1_000_000
"""No player reaches this number; without a bound some reader could not store it."""

_is_uuid = re.compile(EVENT_ID_PATTERN.removesuffix("$")).fullmatch

PersonText = Annotated[str, Meta(min_length=1, max_length=128)]
ShortText = Annotated[str, Meta(max_length=SHORT_TEXT_LENGTH_MAX)]
LongText = Annotated[str, Meta(max_length=2048)]
Instant = Annotated[datetime, Meta(tz=True)]
# \Z, since $ would let a trailing line feed pass
VideoId = Annotated[str, Meta(pattern=VIDEO_ID_PATTERN.replace("$", r"\Z"), max_length=VIDEO_ID_LENGTH_MAX)]


class AdView(Struct, frozen=True, gc=False):
    """An advertisement shown during the view."""

    ad_id: PersonText
    ad_type: ShortText | None = None
    watched_seconds: Annotated[int, Meta(ge=0, le=VIEW_DURATION_SECONDS_MAX)] | None = None


class ViewEvent(Struct, frozen=True, gc=False):
    """One view that keeps the contract.

    `event_id` is made by the player and reused on every retry. `timestamp` is the instant the view began, in UTC, cut
    to the microsecond and within the bounds of `instants`. `view_duration` is in whole seconds. `advertisements`
    decides which of `ad_views` count. `user_id` is already a pseudonym. The collector sets the last three fields.
    """

    event_id: UUID
    video_id: VideoId
    user_id: PersonText
    session_id: PersonText
    timestamp: Instant
    view_duration: Annotated[int, Meta(ge=0, le=VIEW_DURATION_SECONDS_MAX)]
    revenue_eligible: bool
    device_type: ShortText | None = None
    geo_location: ShortText | None = None
    referrer: LongText | None = None
    quality: ShortText | None = None
    ad_views: list[AdView] | None = None
    schema_version: Annotated[int, Meta(ge=1)] | None = None
    received_at: ShortText | None = None
    client_network: ShortText | None = None
    user_agent: LongText | None = None


class Reason(Struct, frozen=True, gc=False):
    """A reason for the rejection of an event: a stable `code` to group by and a sentence for people.

    The sentence names the field and shows its value, except for fields that may identify a person.
    """

    code: str
    detail: str


class RejectedEvent(Struct, frozen=True):
    """An event that breaks the contract, with every reason found; a value, never an exception.

    `event_id` is the id in canonical form (`event_id_of`); if the sent text is not an id, that text, so that a sender
    can find the event again.
    """

    reasons: tuple[Reason, ...]
    event_id: str | None = None


def event_id_of(text: str) -> str | None:
    """Return an event id in canonical form, a UUID in small letters with hyphens; None if it is not a UUID.

    Capitals and a UUID without hyphens are the same id: an event may be sent so.
    """
    return str(UUID(text)) if _is_uuid(text) else None


def payload_digest(event: ViewEvent) -> str:
    """Return 32 hex digits that are equal for two events exactly if the player sent the same values.

    The collector's own fields are left out: a retry may arrive from another network at another time. Instants are
    compared as instants (`10:00Z` = `11:00+01:00`); an absent optional field equals null; fields unknown to this
    version of the contract are not compared.
    """
    sent = (
        event.video_id,
        event.user_id,
        event.session_id,
        event.timestamp.astimezone(UTC),
        event.view_duration,
        event.revenue_eligible,
        event.device_type,
        event.geo_location,
        event.referrer,
        event.quality,
        event.ad_views,
        event.schema_version or 1,
    )
    return hashlib.blake2b(msgspec.json.encode(sent), digest_size=16).hexdigest()
