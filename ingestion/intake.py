"""Process one event between the sender and the log: decode, judge, add fields, replace ids by pseudonyms. Pure.

What the claims of a play say replaces the sender's own words; the token itself goes nowhere.
"""

from datetime import UTC, datetime

import msgspec

from ingestion.contract.attestation import FIELDS
from ingestion.contract.counting import LateEvent, judge_alone
from ingestion.contract.countries import country_of
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import EVENT_BYTES_MAX, Reason, RejectedEvent, ViewEvent
from ingestion.contract.networks import network_of
from ingestion.contract.traits import referrer_host
from ingestion.play_claims import NO_PLAYS, PLAY_MISSING, Claimed, Plays, claimed
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of

USER_AGENT_LENGTH_MAX = 2048


class Origin(msgspec.Struct, frozen=True):
    """The facts known of the sender; they replace the event's own values of these fields."""

    client_network: str | None = None
    user_agent: str | None = None
    network_kind: str | None = None
    """As `network_kinds` says."""


class Arrival(msgspec.Struct, frozen=True):
    """When and how a group of events came in; made once for all of them by `arrival`."""

    received_at: datetime | None
    """By the broker's clock; None while that is unknown."""
    fields: dict[str, msgspec.Raw]
    """Names of the collector's fields → JSON text."""
    absent: tuple[str, ...]
    """The collector's fields that an event must not have."""


class AdmittedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event ready for the log: `key` is the video id, `value` the JSON with the collector's fields."""

    event_id: str
    key: bytes
    value: bytes
    happened_at: datetime
    """When the view began, in UTC."""
    play_country: str | None = None
    """The country that its play names, `ZZ` for none; None if it has no play."""
    play_key: str | None = None
    """The id of the key that signed its play."""
    play_player: str | None = None
    """The player that its play names."""


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def arrival(at: datetime, origin: Origin | None, *, broker_time: datetime | None) -> Arrival:
    """Describe the arrival of events at an instant, by the clock of this machine and by the broker's; both aware.

    Without an origin (a file, not a client) an event keeps its own `user_agent`, and the permitted part of its own
    `client_network`. No event keeps its own `network_kind`.
    """
    found = {"network_kind": None} if origin is None else msgspec.structs.asdict(origin)
    known = {name: value for name, value in found.items() if value is not None}
    fields = {"received_at": instant_text(broker_time or at), **known}
    absent = tuple(name for name in found if name not in known)
    return Arrival(broker_time, {name: _text(value) for name, value in fields.items()}, absent)


def admit(raw: bytes, came: Arrival, key: bytes, plays: Plays = NO_PLAYS) -> AdmittedEvent | RejectedEvent:
    """Return the event as it is written to the log, or the reasons for its rejection; `key` is the pseudonym key.

    An event that claims to happen later than the broker's clock allows is `clock_suspect`; the clock of this machine
    may be wrong and decides nothing. A late event is admitted: a person decides on it. Fields unknown to the contract
    stay as they were sent, to the last digit of a number. Of an event with a play, the claims of the play are written
    instead of the sender's words, and the event is attested.
    """
    play = claimed(raw, plays.read)
    if isinstance(play, RejectedEvent):
        return play
    event = _judged(raw if play is None else play.raw, came, play)
    if isinstance(event, RejectedEvent):
        return event
    event_id = str(event.event_id)
    if play is None:
        if plays.are_required:
            return RejectedEvent((PLAY_MISSING,), event_id)
        fields = _decode_fields(raw)
        fields["user_id"] = _text(pseudonym_of(event.user_id, key))
        fields["session_id"] = _text(session_pseudonym_of(event.session_id, key))
    else:
        fields = play.fields
        _keep_advertisements(fields, frozenset(play.advertisements_beyond(event)))
    if event.referrer is not None:
        _keep_host(fields, referrer_host(event.referrer))
    if "client_network" in fields and "client_network" not in came.fields:
        _keep_network(fields, event)
    fields.update(came.fields)
    for name in (*came.absent, *FIELDS):
        fields.pop(name, None)
    value = _encode(fields)
    if play is not None or plays.all_are_attested:
        value = plays.attest(value)
    if len(value) > EVENT_BYTES_MAX:
        detail = f"with the collector's fields the event has {len(value)} bytes; at most {EVENT_BYTES_MAX} are allowed"
        return RejectedEvent((Reason("body_too_large", detail),), event_id)
    of_play = () if play is None else (country_of(play.play.geo_location), play.key_id, play.play.player)
    return AdmittedEvent(event_id, event.video_id.encode(), value, event.timestamp, *of_play)


def _judged(raw: bytes, came: Arrival, play: Claimed | None) -> ViewEvent | RejectedEvent:
    decoded = decode_view_event(raw)
    if came.received_at is None or isinstance(decoded, RejectedEvent):
        return decoded
    if play is not None and (reason := play.too_much(decoded, came.received_at)) is not None:
        return RejectedEvent((reason,), str(decoded.event_id))
    judged = judge_alone(decoded, came.received_at)
    if not isinstance(judged, LateEvent):
        return judged
    return judged.event if play is None else RejectedEvent((play.expired(),), str(decoded.event_id))


def instant_text(instant: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with milliseconds, e.g. `2026-11-23T10:00:00.000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _keep_advertisements(fields: dict[str, msgspec.Raw], beyond: frozenset[int]) -> None:
    if beyond:
        sent = enumerate(_decode_list(fields["ad_views"]))
        fields["ad_views"] = msgspec.Raw(_encode([each for index, each in sent if index not in beyond]))


def _keep_network(fields: dict[str, msgspec.Raw], event: ViewEvent) -> None:
    network = network_of(event.client_network or "")
    if network is None:
        del fields["client_network"]
    else:
        fields["client_network"] = _text(network)


def _keep_host(fields: dict[str, msgspec.Raw], host: str | None) -> None:
    if host is None:
        del fields["referrer"]
    else:
        fields["referrer"] = _text(host)


def _text(value: str) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
