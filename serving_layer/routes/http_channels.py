"""The views of a channel: settled and provisional of all its videos together, once and live."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, OwnPayee, needing
from serving_layer.counts.answers import ChannelViews
from serving_layer.counts.counts_reader import (
    IDS_PER_ROUND_TRIP_MAX,
    CountsReader,
    ReadCounts,
    read_at_one_version,
    refuse_too_large,
)
from serving_layer.counts.live_counts import LiveCount, ReadLive, live_channel
from serving_layer.counts.merge import ServedVersion, newest
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.history_reader import HistoryReader
from serving_layer.request.http_parameters import AsOf, LastEventId, Version
from serving_layer.request.parameters import AtVersion, at_version
from serving_layer.routes.examples import CHANNEL_EVENT
from serving_layer.routes.http_answers import IMMUTABLE, NOT_KEPT, SECONDS, Form, answer
from serving_layer.routes.http_counts import Counts, served
from serving_layer.routes.http_described import FIXED, STORE, answered
from serving_layer.routes.http_history import History
from serving_layer.routes.http_live import LIVE_COST, LiveStreams, streamed

CATALOGUE_SECONDS = 30.0
"""How long a stream uses the channel's videos before it reads them again."""
_SUMMED = ("views", "settled_views", "provisional_views", "billable_views")
_NOW = AtVersion()


def channel_routes(
    guard: Guard, history: History, reader: CountsReader, metrics: ApiMetrics, streams: LiveStreams
) -> list[GuardedRoute]:
    """Return the routes of a channel's views."""
    counts, own = Counts(guard, reader, metrics, history), ("not_found", "channel_too_large", STORE)
    return [
        guard.route(
            "/v1/channels/{payee_id}/views",
            partial(channel, counts),
            summary="The views of all videos of a channel together",
            responses=answered(ChannelViews, "The counts", (*FIXED, *own, "version_changing", "query_too_slow")),
        ),
        guard.route(
            "/v1/channels/{payee_id}/views/live",
            partial(live, counts, streams),
            summary="The count of a channel as server-sent events, whenever it changes",
            responses=streamed(CHANNEL_EVENT, own),
        ),
    ]


async def channel(
    counts: Counts,
    caller: Annotated[Caller, needing(Scope.BILLABLE, cost=5)],
    *,
    request: Request,
    payee_id: OwnPayee,
    known: OnlyKnown,
    form: Form,
    version: Version = None,
    as_of: AsOf = None,
) -> Response:
    """Return the sums of the served counts of the channel's videos, all of one version."""
    history = counts.history
    asked = at_version(version, as_of, sent=request.query_params.get("as_of", ""), now=history.now())
    of_version = await history.reader.version(asked)
    video_ids = await history.reader.channel(payee_id, asked, of_version)
    refuse_too_large(video_ids)
    if asked.is_fixed:
        sums = await _settled(history.reader, of_version, video_ids)
    else:
        sums = await served_channel(partial(served, counts.reader, counts.metrics), of_version, video_ids)
    body = ChannelViews(payee_id=payee_id, videos=len(video_ids), **sums)
    kept = IMMUTABLE if asked.number is not None else SECONDS if body.complete else NOT_KEPT
    part = counts.reader.missing_part(complete=body.complete)
    columns = ("payee_id", "videos", *_SUMMED)
    return answer(request, caller, body, form=form, rows=[body], columns=columns, kept=kept, part=part)


async def live(
    counts: Counts,
    streams: LiveStreams,
    *,
    caller: Annotated[Caller, needing(Scope.BILLABLE, cost=LIVE_COST)],
    request: Request,
    payee_id: OwnPayee,
    last_event_id: LastEventId = None,
) -> Response:
    """Return a stream of counts.

    `Last-Event-ID` skips the count that the client already has. A stream ends after 15 minutes; reconnect then.
    """
    read = await channel_reader(counts.reader, counts.history.reader, payee_id)
    return streams.answer(request, read, caller, counts.guard.network_of(request))


async def channel_reader(reader: CountsReader, history: HistoryReader, payee_id: str) -> ReadLive:
    """Return a function that reads a channel's count; the catalogue is read again every 30 seconds.

    Raises:
        ProblemError: not_found, channel_too_large, or the catalogue cannot be read now.
    """
    clock = asyncio.get_running_loop().time

    async def videos() -> Sequence[str]:
        found = await history.channel(payee_id, _NOW, await history.version(_NOW))
        refuse_too_large(found)
        return found

    video_ids, asked_at = await videos(), clock()

    async def read() -> LiveCount:
        nonlocal video_ids, asked_at
        if clock() >= asked_at + CATALOGUE_SECONDS:
            video_ids, asked_at = await videos(), clock()
        body = await served_channel(reader.read, await history.version(_NOW), video_ids)
        round_trips = max(1, -(-len(video_ids) // IDS_PER_ROUND_TRIP_MAX))
        return live_channel({"payee_id": payee_id, "videos": len(video_ids), **body}, round_trips)

    return read


async def served_channel(read: ReadCounts, version: ServedVersion, video_ids: Sequence[str]) -> dict[str, Any]:
    """Sum the served counts, all of one version."""
    counts = await read_at_one_version(read, video_ids)
    first = counts[0] if counts else None
    return {
        **{name: sum(getattr(count, name) or 0 for count in counts) for name in _SUMMED},
        "version": first.version if first else version.version,
        "settled_until": first.settled_until if first else version.settled_until,
        "as_of": newest(version.settled_until, *(count.as_of for count in counts)),
        "complete": all(count.complete for count in counts),
    }


async def _settled(reader: HistoryReader, version: ServedVersion, video_ids: Sequence[str]) -> dict[str, Any]:
    total = await reader.totals(video_ids, version)
    return {
        "views": total.views,
        "settled_views": total.views,
        "provisional_views": 0,
        "billable_views": total.billable_views,
        "version": version.version,
        "settled_until": version.settled_until,
        "as_of": version.settled_until,
        "complete": True,
    }
