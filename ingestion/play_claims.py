"""Put the claims of a play in the place of the sender's words, before an event is decoded. Pure.

The sender's words about what the play says are not even read: they may be missing, false or malformed. Everything else
of the event is judged as strictly as ever.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ingestion.contract.counting import CLOCK_TOLERANCE
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import EVENT_BYTES_MAX, Reason, RejectedEvent, ViewEvent, event_id_of
from ingestion.contract.plays import PLAY_FIELD, Play, PlayReader

PLAY_MISSING = Reason("play_missing", "play: an event is taken with a signed play only; ask the platform for one")

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def no_key_known(token: str) -> Reason:
    """Refuse every token: this process knows no keys."""
    return Reason("play_key_unknown", "play: no keys of plays are known here; send the event to the platform's own")


def as_it_is(value: bytes) -> bytes:
    """Attest nothing: this process has no key for it."""
    return value


@dataclass(frozen=True)
class Plays:
    """What the way in does with plays."""

    read: PlayReader = no_key_known
    are_required: bool = False
    """Whether an event without a play is refused."""
    attest: Callable[[bytes], bytes] = as_it_is
    """Adds to a message of the log who vouches for it."""
    all_are_attested: bool = False
    """Whether it is added to events without a play, too: their sender is trusted."""


NO_PLAYS = Plays()


@dataclass(frozen=True)
class Claimed:
    """An event with the claims of its play in it, and without the token."""

    raw: bytes
    fields: dict[str, msgspec.Raw]
    """The same, by name."""
    play: Play
    key_id: str
    """Of the key that signed the play."""

    def too_much(self, event: ViewEvent, received_at: datetime) -> Reason | None:
        """Return why the decoded event cannot be true at this instant by the broker's clock, if it cannot."""
        age = received_at - self.play.begun_at
        if age < -CLOCK_TOLERANCE:
            return Reason("play_not_begun", f"play: it begins at {self.play.begun_at.isoformat()}; correct the clocks")
        if event.view_duration > (age + CLOCK_TOLERANCE).total_seconds():
            text = f"view_duration: {event.view_duration} seconds, but the play began {age.total_seconds():.0f} ago"
            return Reason("view_duration_beyond_play", text)
        return None

    def expired(self) -> Reason:
        """Return the reason for refusing an event that arrives later than the contract allows."""
        return Reason("play_expired", f"play: it began at {self.play.begun_at.isoformat()}, more than 35 days ago")

    def advertisements_beyond(self, event: ViewEvent) -> Iterator[int]:
        """Yield the places, in `ad_views`, of those that the play does not allow; a repeated one takes no room."""
        seen: set[str] = set()
        for index, each in enumerate(event.ad_views or ()):
            if each.ad_id not in seen and len(seen) >= self.play.ad_views_max:
                yield index
            else:
                seen.add(each.ad_id)


def claimed(raw: bytes, read: PlayReader) -> Claimed | RejectedEvent | None:
    """Return the event with its claims, the reason for refusing its token, or None if it has none."""
    if len(raw) > EVENT_BYTES_MAX:
        return None  # decoding says so
    if b'"' + PLAY_FIELD.encode() + b'"' not in raw and b"\\" not in raw:
        return None
    try:
        fields = _decode_fields(raw)
        sent = fields.pop(PLAY_FIELD)
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # it has no play, or is not a JSON object; decoding says why
    try:
        token = _decode_text(sent)
    except msgspec.ValidationError:
        return _refused(Reason("play_malformed", "play: it must be a text, the token as it was issued"), fields)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # not JSON after all
    if (repeated := _repeated_key(raw, fields)) is not None:
        return repeated
    found = read(token)
    if isinstance(found, Reason):
        return _refused(found, fields)
    play, key_id = found
    fields.update(_words_of(play))
    if play.geo_location is None:
        fields.pop("geo_location", None)
    return Claimed(_encode(fields), fields, play, key_id)


def _words_of(play: Play) -> dict[str, msgspec.Raw]:
    written = {
        "event_id": play.play_id,
        "video_id": play.video_id,
        "user_id": play.user_id,
        "session_id": play.session_id,
        "timestamp": play.begun_at,
        "revenue_eligible": play.revenue_eligible,
    }
    if play.geo_location is not None:
        written["geo_location"] = play.geo_location
    return {name: msgspec.Raw(_encode(value)) for name, value in written.items()}


def _repeated_key(raw: bytes, fields: dict[str, msgspec.Raw]) -> RejectedEvent | None:
    """Return the rejection of an event in which a key appears twice; `fields` lacks the play.

    Without a repeated key, an escape in a key, every quotation mark is one around a key or one within a value.
    """
    quotes = 2 * len(fields) + sum(bytes(value).count(b'"') for value in fields.values()) + 4
    if raw.count(b'"') == quotes:
        return None
    rejected = decode_view_event(raw)
    is_repeated = isinstance(rejected, RejectedEvent) and rejected.reasons[0].code == "duplicate_key"
    return rejected if isinstance(rejected, RejectedEvent) and is_repeated else None


def _refused(reason: Reason, fields: dict[str, msgspec.Raw]) -> RejectedEvent:
    """Return the rejection with the id that the sender used, by which the sender finds the event."""
    try:
        sent = _decode_text(fields["event_id"])
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return RejectedEvent((reason,))
    return RejectedEvent((reason,), event_id_of(sent) or sent)
