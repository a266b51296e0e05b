"""Send a file of events to the log: judge every line, await every acknowledgement, know where to resume."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from ingestion.contract.event import EVENT_BYTES_MAX, Reason, RejectedEvent
from ingestion.contract.unavailable import UnavailableError
from ingestion.intake import AdmittedEvent, admit, arrival
from ingestion.play_claims import NO_PLAYS, Plays
from ingestion.ports import EventLog

CHUNK_LINES = 1_000
CHUNKS_IN_FLIGHT_MAX = 16
_LINE_BYTES_MAX = EVENT_BYTES_MAX + 1024
"""Longer lines are cut here: decoding rejects them anyway, and memory stays bounded."""


@dataclass(frozen=True)
class Line:
    """A non-blank line; `number` counts all lines from 1."""

    number: int
    raw: bytes


@dataclass(frozen=True)
class RejectedLine:
    """A line that did not go to the log."""

    number: int
    event_id: str | None
    reasons: tuple[Reason, ...]


@dataclass
class Summary:
    """The progress of a feed. Everything up to `done_through_line` is in the log or rejected."""

    accepted: int = 0
    rejected: int = 0
    done_through_line: int = 0
    failure: str | None = None
    """Why the feed stopped before the end, if it did; lines after the last done one may or may not be in the log."""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "done_through_line": self.done_through_line,
            "failure": self.failure,
        }


@dataclass
class _Chunk:
    last_line: int
    accepted: int
    rejected: list[RejectedLine]
    acknowledgement: "Future[None] | None"


@dataclass
class Feed:
    """Feeds lines to a log. `clock` returns the present instant, aware."""

    event_log: EventLog
    clock: Callable[[], datetime]
    pseudonym_key: bytes
    plays: Plays = NO_PLAYS
    acknowledgement_seconds_max: float = 20.0
    chunk_lines: int = CHUNK_LINES
    summary: Summary = field(default_factory=Summary)

    def send(self, lines: Iterable[Line]) -> Iterator[list[RejectedLine]]:
        """Send all lines in order; yield the rejected lines of every chunk once the chunk is done.

        Several chunks are in flight at a time. At the first one that is not acknowledged the feed stops and sets
        `summary.failure`.
        """
        under_way: deque[_Chunk] = deque()
        for chunk in _chunks(lines, self.chunk_lines):
            under_way.append(self._begun(chunk))
            if len(under_way) > CHUNKS_IN_FLIGHT_MAX:
                oldest = under_way.popleft()
                if not self._finished(oldest):
                    return
                yield oldest.rejected
        while under_way:
            oldest = under_way.popleft()
            if not self._finished(oldest):
                return
            yield oldest.rejected

    def _begun(self, lines: list[Line]) -> _Chunk:
        came = arrival(self.clock(), None, broker_time=self.event_log.broker_time())
        admitted: list[AdmittedEvent] = []
        rejected: list[RejectedLine] = []
        for line in lines:
            outcome = admit(line.raw, came, self.pseudonym_key, self.plays)
            if isinstance(outcome, RejectedEvent):
                rejected.append(RejectedLine(line.number, outcome.event_id, outcome.reasons))
            else:
                admitted.append(outcome)
        acknowledgement = self.event_log.append(admitted) if admitted else None
        return _Chunk(lines[-1].number, len(admitted), rejected, acknowledgement)

    def _finished(self, chunk: _Chunk) -> bool:
        try:
            if chunk.acknowledgement is not None:
                chunk.acknowledgement.result(self.acknowledgement_seconds_max)
        except (UnavailableError, TimeoutError) as error:
            self.summary.failure = str(error) or "no acknowledgement in time"
            return False
        self.summary.accepted += chunk.accepted
        self.summary.rejected += len(chunk.rejected)
        self.summary.done_through_line = chunk.last_line
        return True


def numbered(source: BinaryIO, *, from_line: int = 1) -> Iterator[Line]:
    """Yield the non-blank lines of a file, from a line number on; memory stays bounded for lines of any length."""
    number = 0
    while raw := source.readline(_LINE_BYTES_MAX):
        number += 1
        rest = raw
        while len(rest) == _LINE_BYTES_MAX and not rest.endswith(b"\n"):
            rest = source.readline(_LINE_BYTES_MAX)
        text = raw.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n") if number == 1 else raw.strip(b" \t\r\n")
        if text and number >= from_line:
            yield Line(number, text)


def _chunks(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
