"""Events to send and a log that needs no broker."""

import base64
import json
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingestion.contract.plays import Play
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.intake import AdmittedEvent
from ingestion.jwt_plays import PlayKey, secret_key, signed_text
from ingestion.ports import RequestTrace
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY = bytes(range(32))
PLAY_KEY = secret_key("2026-11", bytes(range(32, 64)))


def text_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def ed25519_jwk(kid: str, private: Ed25519PrivateKey, *, is_private: bool = True) -> dict[str, str]:
    found = {"kid": kid, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA"}
    found["x"] = text_of(private.public_key().public_bytes_raw())
    return found | ({"d": text_of(private.private_bytes_raw())} if is_private else {})


def hmac_jwk(kid: str, secret: bytes) -> dict[str, str]:
    return {"kid": kid, "kty": "oct", "alg": "HS256", "k": text_of(secret)}


def play_of(**changes: Any) -> Play:
    """The claims of a play that began a minute ago."""
    claims: dict[str, Any] = {
        "play_id": uuid.UUID(int=77, version=4),
        "audience": "viewledger",
        "begun_at_seconds": int(NOW.timestamp()) - 60,
        "start_until_seconds": int(NOW.timestamp()) + 540,
        "user_id": pseudonym_of("bob", KEY),
        "session_id": session_pseudonym_of("s2", KEY),
        "video_id": "played",
        "revenue_eligible": True,
        "geo_location": "DE",
        "ad_views_max": 2,
    }
    return Play(**(claims | changes))


def token_of(key: PlayKey = PLAY_KEY, **changes: Any) -> str:
    """The token of such a play."""
    return signed_text(play_of(**changes), key)


def event_fields(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A well-formed event; equal numbers give equal events."""
    return {
        "event_id": str(uuid.UUID(int=number, version=4)),
        "video_id": "-JinobXWPk",
        "user_id": "alice",
        "session_id": "s1",
        "timestamp": "2026-11-23T09:59:00Z",
        "view_duration": 45,
        "revenue_eligible": True,
    } | changes


def event_json(number: int = 1, **changes: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(event_fields(number, **changes)).encode()


class FakeEventLog:
    """Keeps the events in memory; while `is_away` it acknowledges nothing, as Kafka does without a broker."""

    def __init__(self) -> None:
        self.events: list[AdmittedEvent] = []
        self.traceparents: list[str] = []
        self.is_away = False
        self.away_after_appends: int | None = None
        self.time: datetime | None = NOW

    def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
        done: Future[None] = Future()
        if self.away_after_appends is not None:
            self.is_away = self.is_away or self.away_after_appends == 0
            self.away_after_appends -= 1
        if self.is_away:
            done.set_exception(UnavailableError(Part.KAFKA, "the broker is away"))
        else:
            self.events.extend(events)
            self.traceparents += [trace.traceparent] if trace is not None else []
            done.set_result(None)
        return done

    def broker_time(self) -> datetime | None:
        return self.time

    def is_reachable(self) -> bool:
        return not self.is_away
