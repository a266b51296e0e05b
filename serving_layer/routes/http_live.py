"""Live counts as server-sent events, of videos and of channels.

An event is sent when the count changed, at most one a second; a comment keeps the connection alive meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import needing
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.live_counts import LiveCount, ReadLive, StreamOverError, is_event_id, live_video
from serving_layer.problems.problems import ProblemError, refused
from serving_layer.request.http_parameters import LastEventId, VideoId
from serving_layer.routes.examples import EVENT
from serving_layer.routes.http_described import PUBLIC, Responses, done, problems_of
from serving_layer.routes.http_history import History, whose
from serving_layer.routes.http_open_streams import LastingAnswer, OpenStreams, TooManyOpenError

LIVE_COST = 10
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class LiveLimits:
    """The bounds of streams."""

    connections_max: int = 200
    """Streams of one API process."""
    network_max: int = 50
    """Streams from one network, for all callers."""
    caller_max: int = 20
    """Streams with one credential."""
    poll_seconds: float = 1.0
    """Seconds between two readings, for each round trip of a reading."""
    heartbeat_seconds: float = 15.0
    lifetime_seconds: float = 900.0
    """After this time the stream ends and the client reconnects, so that no credential is trusted for longer."""


class LiveStreams:
    """The streams of one process, bounded together across all callers. For one event loop."""

    def __init__(self, limits: LiveLimits | None = None) -> None:
        self._limits = limits or LiveLimits()
        self._open = OpenStreams()
        """The limits of the process (the empty name), of a network, of a credential."""

    def answer(self, request: Request, read: ReadLive, caller: Caller, network: str) -> Response:
        """Return a stream of the results of `read`; raise ProblemError(live_exhausted)."""
        limits = self._limits
        most = {"": limits.connections_max, f"network {network}": limits.network_max}
        if not caller.is_anonymous:
            most[f"caller {caller.subject}"] = limits.caller_max
        known = request.headers.get("last-event-id", "")
        events = _Events(read, self._limits, known if is_event_id(known) else "", _stopping(request))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Authorization"}
        try:
            ended = self._open.take(most)
        except TooManyOpenError as full:
            whose = full.name.partition(" ")[0]
            raise refused(
                "live_exhausted",
                f"{full.most} live streams are open already{f' for this {whose}' if whose else ''}; "
                "ask for the count itself meanwhile",
                {"Retry-After": "10"},
            ) from full
        return LastingAnswer(events.all(), ended, headers=headers, media_type="text/event-stream")


@dataclass(frozen=True)
class Live:
    """The parts of the route."""

    guard: Guard
    reader: CountsReader
    history: History
    streams: LiveStreams


def live_routes(guard: Guard, reader: CountsReader, history: History, streams: LiveStreams) -> list[GuardedRoute]:
    """Return the route of a video's live counts."""
    return [
        guard.route(
            "/v1/videos/{video_id:path}/views/live",
            partial(live, Live(guard, reader, history, streams)),
            summary="The count of a video as server-sent events, whenever it changes",
            responses=streamed(EVENT, ("video_id_malformed", "not_found")),
            openapi_extra=PUBLIC,
        )
    ]


def streamed(example: str, problems: Sequence[str]) -> Responses:
    """Return the answers of a stream of counts."""
    events = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {200: done("A stream of `count` events", events), **problems_of((*problems, "live_exhausted"))}


async def live(
    of: Live,
    caller: Annotated[Caller, needing(Scope.COUNTS, cost=LIVE_COST)],
    *,
    request: Request,
    video_id: VideoId,
    last_event_id: LastEventId = None,
) -> Response:
    """Return a stream of counts.

    `Last-Event-ID` skips the count that the client already has. A stream ends after 15 minutes; reconnect then.
    """
    (is_own,) = await whose(of.history, caller, [video_id])
    read = video_reader(of.reader, video_id, sees_billable=is_own and caller.may(Scope.BILLABLE))
    return of.streams.answer(request, read, caller, of.guard.network_of(request))


def video_reader(reader: CountsReader, video_id: str, *, sees_billable: bool) -> ReadLive:
    """Return a function that reads a video's count."""

    async def read() -> LiveCount:
        (count,) = await reader.read((video_id,))
        return live_video(count, sees_billable=sees_billable)

    return read


@dataclass
class _Events:
    """The events of one stream."""

    read: ReadLive
    limits: LiveLimits
    known: str
    """The id of the newest event that the client has."""
    is_stopping: Callable[[], bool]
    round_trips: int = 1
    """The instant of the newest reading."""

    async def all(self) -> AsyncIterator[bytes]:
        """Yield events, and comments in between, until the stream's time is over or the process must end."""
        yield b"retry: 2000\n\n"
        clock = asyncio.get_running_loop().time
        ends_at, heartbeat_at = clock() + self.limits.lifetime_seconds, clock() + self.limits.heartbeat_seconds
        while clock() < ends_at and not self.is_stopping():
            try:
                event = await self._event()
            except StreamOverError:
                return
            if event is None and clock() >= heartbeat_at:
                event = b": still here\n\n"
            if event is not None:
                heartbeat_at = clock() + self.limits.heartbeat_seconds
                yield event
            for _ in range(self.round_trips):  # in steps, so that a process that is to end need not wait for long
                if not self.is_stopping():
                    await asyncio.sleep(self.limits.poll_seconds)

    async def _event(self) -> bytes | None:
        """Return the count as an event, None if the client already has it."""
        try:
            count = await self.read()
        except (UnavailableError, ProblemError):
            return b": the count cannot be read now\n\n"
        self.round_trips = count.round_trips
        if count.event_id == self.known:
            return None
        self.known = count.event_id
        return b"id: %s\nevent: count\ndata: %s\n\n" % (count.event_id.encode(), _encode(count.body))


def _stopping(request: Request) -> Callable[[], bool]:
    """Return whether the process must end, from the server's entry in the scope."""
    found: Callable[[], bool] = request.scope.get("is_stopping", lambda: False)
    return found
