"""Events to send and a log that needs no broker."""

import json
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.intake import AdmittedEvent

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY = bytes(range(32))


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
        self.is_away = False
        self.away_after_appends: int | None = None
        self.time: datetime | None = NOW

    def append(self, events: Sequence[AdmittedEvent]) -> "Future[None]":
        done: Future[None] = Future()
        if self.away_after_appends is not None:
            self.is_away = self.is_away or self.away_after_appends == 0
            self.away_after_appends -= 1
        if self.is_away:
            done.set_exception(UnavailableError(Part.KAFKA, "the broker is away"))
        else:
            self.events.extend(events)
            done.set_result(None)
        return done

    def broker_time(self) -> datetime | None:
        return self.time

    def is_reachable(self) -> bool:
        return not self.is_away
