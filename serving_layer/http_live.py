"""Live counts of one video as server-sent events.

An event is sent when the count changed, at most one a second; a comment keeps the connection alive meanwhile. Its id
says what the count was, so a client that comes back with Last-Event-ID gets nothing that it has already.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ingestion.contract.decoding import is_video_id
from serving_layer.access import Caller, Scope
from serving_layer.counts_reader import CountsReader
from serving_layer.http_access import Guard, GuardedRoute
from serving_layer.http_history import History, whose
from serving_layer.merge import ServedCount, entity_tag, without_billable
from serving_layer.ports import SettledUnavailableError
from serving_layer.problems import ProblemError, refused
from serving_layer.video_ids import malformed

_encode = msgspec.json.Encoder().encode
_is_event_id = re.compile(r"[0-9A-Za-z.]{1,100}").fullmatch


@dataclass(frozen=True)
class LiveLimits:
    """How streams are bounded."""

    connections_max: int = 200
    """Of one API process."""
    poll_seconds: float = 1.0
    heartbeat_seconds: float = 15.0
    lifetime_seconds: float = 900.0
    """Then the stream ends and the client comes back, so that no credential is trusted for longer."""


def live_routes(guard: Guard, reader: CountsReader, history: History, limits: LiveLimits) -> list[GuardedRoute]:
    """Return the route of live counts."""
    open_count = 0

    async def live(request: Request, caller: Caller) -> Response:
        nonlocal open_count
        video_id = request.path_params["video_id"]
        if not is_video_id(video_id):
            raise ProblemError(malformed(video_id))
        (is_own,) = await whose(history, caller, [video_id])
        sees_billable = is_own and caller.may(Scope.BILLABLE)
        if open_count >= limits.connections_max:
            raise refused(
                "live_exhausted",
                f"{limits.connections_max} live streams are open already; ask for the count itself meanwhile",
                {"Retry-After": "10"},
            )
        known = request.headers.get("last-event-id", "")
        events = _Events(
            reader, video_id, limits, known if _is_event_id(known) else "", sees_billable, _stopping(request)
        )

        async def stream() -> AsyncIterator[bytes]:
            nonlocal open_count
            open_count += 1
            try:
                yield b"retry: 2000\n\n"
                async for event in events.all():
                    yield event
            finally:
                open_count -= 1

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Authorization"}
        return StreamingResponse(stream(), headers=headers, media_type="text/event-stream")

    return [guard.route("/v1/videos/{video_id:path}/views/live", live, needs=Scope.COUNTS, cost=10)]


@dataclass
class _Events:
    """The events of one stream."""

    reader: CountsReader
    video_id: str
    limits: LiveLimits
    known: str
    """The id of the newest event that the client has."""
    sees_billable: bool
    is_stopping: Callable[[], bool]

    async def all(self) -> AsyncIterator[bytes]:
        """Yield events, and comments while there are none, until the stream's time is over or the process is to end."""
        clock = asyncio.get_running_loop().time
        ends_at, heartbeat_at = clock() + self.limits.lifetime_seconds, clock() + self.limits.heartbeat_seconds
        while clock() < ends_at and not self.is_stopping():
            event = await self._event()
            if event is None and clock() >= heartbeat_at:
                event = b": still here\n\n"
            if event is not None:
                heartbeat_at = clock() + self.limits.heartbeat_seconds
                yield event
            await asyncio.sleep(self.limits.poll_seconds)

    async def _event(self) -> bytes | None:
        """Return the count as an event, None where the client has it already."""
        try:
            (count,) = await self.reader.read((self.video_id,))
        except SettledUnavailableError:
            return b": the settled count cannot be read now\n\n"
        event_id = _event_id(count)
        if event_id == self.known:
            return None
        self.known = event_id
        shown = count if self.sees_billable else without_billable(count)
        return b"id: %s\nevent: count\ndata: %s\n\n" % (event_id.encode(), _encode(shown))


def _stopping(request: Request) -> Callable[[], bool]:
    """Whether the process is to end, as the server says in the scope."""
    found: Callable[[], bool] = request.scope.get("is_stopping", lambda: False)
    return found


def _event_id(count: ServedCount) -> str:
    return entity_tag(without_billable(count)).removeprefix("W/").strip('"')
