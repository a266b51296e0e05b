"""The ports of single events in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.money.proofs import (
    CHUNK_ROWS,
    EventCopy,
    EventPart,
    EventPayment,
    PaidEvent,
    PaymentStatus,
    ProvenStatement,
)
from tests.serving_access import OTHER, OWNER

STATEMENT = "ab" * 16
EVENT = "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"
UNSEEN = "00000000-ceea-467f-9a3c-1b2d3e4f5a6b"
COUNT = 2 * CHUNK_ROWS + 7


@dataclass
class FakeProofs:
    """Both ports in memory; can go away before or in the middle of a stream."""

    away_at: int | None = None
    books_away: bool = False
    open_streams: int = 0
    started_after: list[int] = field(default_factory=list)

    state: str = "finalised"

    def statement(self, statement_id: str) -> ProvenStatement | None:
        if self.books_away:
            raise UnavailableError(Part.POSTGRES, "gone")
        return ProvenStatement(OWNER, self.state) if statement_id == STATEMENT else None

    def events(self, statement_id: str, after: int) -> Iterator[PaidEvent]:
        self.started_after.append(after)
        self.open_streams += 1
        try:
            for number in range(after + 1, COUNT + 1):
                if number == self.away_at:
                    raise UnavailableError(Part.SQL, "gone")
                yield PaidEvent(number, "video-a", f"{number:08x}-0000-0000-0000-000000000000", (number % 3, 9))
        finally:
            self.open_streams -= 1

    def payment(self, event_id: str) -> EventPayment:
        if self.books_away:
            raise UnavailableError(Part.POSTGRES, "gone")
        if self.away_at is not None:
            raise UnavailableError(Part.SQL, "gone")
        if event_id != EVENT:
            return EventPayment(event_id, PaymentStatus.UNKNOWN, 3)
        part = EventPart(OWNER, PaymentStatus.PAID, None, STATEMENT, "2026-10", 4, "00" * 32, 5, 9, ("11" * 32,))
        copy = EventCopy(0, 17, "2026-10-03T00:00:00Z", "counted")
        others = EventPart(OTHER, PaymentStatus.PENDING)
        return EventPayment(event_id, PaymentStatus.PAID, 3, "video-a", "2026-10-03", None, (copy,), (part, others))
