"""The API's answers about single events and payments: records, cursors and forms. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

CHUNK_ROWS = 500
AFTER_MAX = 10**12
_STATEMENT_ID = re.compile(r"[0-9a-f]{32}")
_encode = msgspec.json.Encoder().encode


class PaidEvent(msgspec.Struct, frozen=True):
    """One event of a statement."""

    number: int
    """From 1 on, in an order that never changes: the cursor."""
    video_id: str
    event_id: str
    lines: tuple[int, ...]
    """Indexes of the lines that pay it: the one for the view, and one for each type of its advertisements."""


class PaymentStatus(StrEnum):
    """The result of an event."""

    PAID = "paid"
    """A line of a finalised statement pays it."""
    PENDING = "pending"
    """It is counted or waits for a decision, and no finalised statement covers it yet."""
    EXCLUDED = "excluded"
    """It is not paid; `reason` gives the reason."""
    UNKNOWN = "unknown"
    """No event with this id is settled, and none is counted provisionally."""


class EventCopy(msgspec.Struct, frozen=True):
    """One message of the log with the event's id."""

    partition: int
    offset: int
    received_at: str
    verdict: str
    """`counted`, `duplicate` (same payload as the first), `conflict` (another payload), `rejected`, `late_review` or
    `invalid_traffic`."""


class EventPart(msgspec.Struct, frozen=True):
    """The result of an event for one payee: paid in a line, or not."""

    payee_id: str
    status: PaymentStatus
    reason: str | None = None
    statement_id: str | None = None
    period: str | None = None
    line_index: int | None = None
    evidence_root: str | None = None
    leaf_index: int | None = None
    leaf_count: int | None = None
    audit_path: tuple[str, ...] = ()
    """RFC 6962: the sibling hashes from the event's id up to the line's evidence root, in hex, lowest first."""


class EventPayment(msgspec.Struct, frozen=True):
    """The answer about one event id."""

    event_id: str
    status: PaymentStatus
    version: int
    """The batch version the answer is read from."""
    video_id: str | None = None
    event_day: str | None = None
    reason: str | None = None
    copies: tuple[EventCopy, ...] = ()
    """Every message with this id; the first is the event, the others are its duplicates and conflicts."""
    parts: tuple[EventPart, ...] = ()
    """One for each payee that owns a share of the video on the day."""


class ProvenStatement(msgspec.Struct, frozen=True):
    """The payee and the state of a statement."""

    payee_id: str
    state: str


class StatementEvents(Protocol):
    """Reads the events behind statements. Called from a thread; may take as long as the batch tables take.

    Raises UnavailableError: of POSTGRES if the books do not answer, of SQL if the tables do not.
    """

    def statement(self, statement_id: str) -> ProvenStatement | None:
        """Return a statement; None if there is none."""

    def events(self, statement_id: str, after: int) -> Iterator[PaidEvent]:
        """Yield the statement's events from number after + 1 on. Streams."""


class EventPayments(Protocol):
    """Reads the results of single events. Called from a thread; may take seconds. Raises as `StatementEvents` does."""

    def payment(self, event_id: str) -> EventPayment:
        """Return the answer about an id in canonical form."""


@dataclass(frozen=True)
class Form:
    """An output format of rows."""

    media_type: str
    head: bytes
    rows: "WriteRows"


class WriteRows(Protocol):
    """Writes some rows."""

    def __call__(self, events: Sequence[PaidEvent], /) -> bytes:
        """Return the rows, each with its line end."""


def ndjson_rows(events: Sequence[PaidEvent]) -> bytes:
    """Return one JSON object a line."""
    return b"".join(_encode(event) + b"\n" for event in events)


def csv_rows(events: Sequence[PaidEvent]) -> bytes:
    """Return one CSV row a line; the indexes of the lines have a space between them."""
    text = io.StringIO()
    rows = ((each.number, each.video_id, each.event_id, " ".join(map(str, each.lines))) for each in events)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


NDJSON = Form("application/x-ndjson", b"", ndjson_rows)
CSV = Form("text/csv", b"number,video_id,event_id,lines\n", csv_rows)


def written(events: Iterable[PaidEvent], form: Form) -> Iterator[bytes]:
    """Yield events in a format, a few hundred rows at a time."""
    if form.head:
        yield form.head
    waiting: list[PaidEvent] = []
    for event in events:
        waiting.append(event)
        if len(waiting) == CHUNK_ROWS:
            yield form.rows(waiting)
            waiting.clear()
    if waiting:
        yield form.rows(waiting)


def is_statement_id(text: str) -> bool:
    """Return whether a text can be the id of a statement."""
    return _STATEMENT_ID.fullmatch(text) is not None


def seen_by(payment: EventPayment, payee_ids: "Sees") -> EventPayment | None:
    """Return the part of an answer that a caller may see; None if the event concerns none of its payees."""
    if not payment.parts:
        return payment if payee_ids(None) else None
    parts = tuple(part for part in payment.parts if payee_ids(part.payee_id))
    return msgspec.structs.replace(payment, parts=parts) if parts else None


class Sees(Protocol):
    """Decides which payees a caller may see; None means data without an owner."""

    def __call__(self, payee_id: str | None, /) -> bool:
        """Return whether the caller may see it."""
