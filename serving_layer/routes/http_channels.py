"""The views of a channel: settled and provisional of all its videos together, once and live."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller, Scope, require_payee
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.counts.counts_reader import IDS_PER_ROUND_TRIP_MAX, CountsReader
from serving_layer.counts.live_counts import LiveCount, ReadLive, live_channel
from serving_layer.counts.merge import ServedCount, ServedVersion, newest
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.history_reader import HistoryReader
from serving_layer.problems.problems import refused
from serving_layer.request.parameters import AtVersion, Parameters
from serving_layer.routes.http_answers import FOR_EVER, NOT_KEPT, SECONDS, answer, format_of
from serving_layer.routes.http_counts import served
from serving_layer.routes.http_history import History
from serving_layer.routes.http_live import LIVE_COST, LiveStreams

VIDEOS_MAX = 20_000
CATALOGUE_SECONDS = 30.0
"""How long a stream goes by the videos that it was told last."""
_ALLOWED = frozenset({"version", "as_of", "format"})
_SUMMED = ("views", "settled_views", "provisional_views", "billable_views")
_NOW = AtVersion()
ReadCounts = Callable[[Sequence[str]], Awaitable[list[ServedCount]]]


def channel_routes(
    guard: Guard, history: History, reader: CountsReader, metrics: ApiMetrics, streams: LiveStreams
) -> list[GuardedRoute]:
    """Return the routes of a channel's views."""

    async def channel(request: Request, caller: Caller) -> Response:
        payee_id = request.path_params["payee_id"]
        require_payee(caller, payee_id)
        parameters = Parameters(request.query_params.multi_items(), _ALLOWED)
        form = format_of(request, parameters)
        asked = parameters.at_version(history.now())
        version = await history.reader.version(asked)
        video_ids = await history.reader.channel(payee_id, asked, version)
        _refuse_too_large(video_ids)
        if asked.is_fixed:
            body = await _settled(history.reader, version, video_ids)
        else:
            body = await served_channel(partial(served, reader, metrics), version, video_ids)
        body = {"payee_id": payee_id, "videos": len(video_ids), **body}
        columns = ("payee_id", "videos", *_SUMMED)
        kept = FOR_EVER if asked.number is not None else SECONDS if body["complete"] else NOT_KEPT
        rows = {"rows": [body]} if form == "csv" else {}
        part = reader.missing_part(complete=body["complete"])
        return answer(request, caller, {**body, **rows}, form=form, columns=columns, kept=kept, part=part)

    async def live(request: Request, caller: Caller) -> Response:
        payee_id = request.path_params["payee_id"]
        require_payee(caller, payee_id)
        return streams.answer(
            request, await channel_reader(reader, history.reader, payee_id), caller, guard.network_of(request)
        )

    return [
        guard.route("/v1/channels/{payee_id}/views", channel, needs=Scope.BILLABLE, cost=5),
        guard.route("/v1/channels/{payee_id}/views/live", live, needs=Scope.BILLABLE, cost=LIVE_COST),
    ]


async def channel_reader(reader: CountsReader, history: HistoryReader, payee_id: str) -> ReadLive:
    """Return what reads a channel's count; the catalogue is asked again every 30 seconds.

    Raises:
        ProblemError: not_found, channel_too_large, or the catalogue cannot be asked now.
    """
    clock = asyncio.get_running_loop().time

    async def videos() -> Sequence[str]:
        found = await history.channel(payee_id, _NOW, await history.version(_NOW))
        _refuse_too_large(found)
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


def _refuse_too_large(video_ids: Sequence[str]) -> None:
    if len(video_ids) > VIDEOS_MAX:
        raise refused("channel_too_large", f"the channel has more than {VIDEOS_MAX} videos; ask for its series")


async def served_channel(read: ReadCounts, version: ServedVersion, video_ids: Sequence[str]) -> dict[str, Any]:
    """Sum the served counts, all of one version: where another is published in between they are read again."""
    counts: list[ServedCount] = []
    for _ in range(3):
        counts = []
        for start in range(0, len(video_ids), IDS_PER_ROUND_TRIP_MAX):
            counts += await read(video_ids[start : start + IDS_PER_ROUND_TRIP_MAX])
        if len({count.version for count in counts}) <= 1:
            break
    else:
        raise refused(
            "version_changing", "versions are published while the channel is read; try again", {"Retry-After": "1"}
        )
    as_of = version.settled_until
    for count in counts:
        as_of = newest(as_of, count.as_of)
    first = counts[0] if counts else None
    return {
        **{name: sum(getattr(count, name) or 0 for count in counts) for name in _SUMMED},
        "version": first.version if first else version.version,
        "settled_until": first.settled_until if first else version.settled_until,
        "as_of": as_of,
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
