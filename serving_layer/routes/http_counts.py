"""The two hot routes: the count of one video, and of many at once. They encode with msgspec.

View counts are public, unless the operator says otherwise; billable views are for those whose scope and payee allow.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.merge import ServedCount, entity_tag, without_billable
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.history_reader import settled_unavailable
from serving_layer.problems.problems import ProblemError, refused
from serving_layer.request.accept import preferred
from serving_layer.request.parameters import Parameters
from serving_layer.request.video_ids import LOOKUP_BYTES_MAX, looked_up, malformed
from serving_layer.routes.http_answers import FOR_EVER, MEDIA_TYPES, NOT_KEPT, answer, format_of, matches, missing
from serving_layer.routes.http_history import History, whose

_encode = msgspec.json.Encoder().encode
_FRESH = "max-age=1"
_JSON = "application/json"
_PLAIN = ("*/*", _JSON)
"""What Accept says as a rule: JSON then, without a closer look."""
_VARY = "Authorization, Accept"
_ALLOWED = frozenset({"version", "as_of", "format"})
_COLUMNS = ("video_id", "views", "settled_views", "provisional_views", "billable_views", "known")
BODY_SECONDS_MAX = 10.0


def counts_routes(guard: Guard, reader: CountsReader, metrics: ApiMetrics, history: History) -> list[GuardedRoute]:
    """Return the routes of view counts."""

    async def one_video(request: Request, caller: Caller) -> Response:
        started = time.perf_counter()
        try:
            return await _one_video(reader, metrics, history, request, caller)
        finally:
            metrics.one_video.observe(time.perf_counter() - started)

    async def lookup(request: Request, caller: Caller) -> Response:
        started = time.perf_counter()
        try:
            return await _lookup(reader, metrics, history, request, caller)
        finally:
            metrics.lookup.observe(time.perf_counter() - started)

    return [
        # `path`, so that an id with a slash in it is told what is wrong with it
        guard.route("/v1/videos/{video_id:path}/views", one_video, needs=Scope.COUNTS),
        guard.route("/v1/views:lookup", lookup, needs=Scope.COUNTS, methods=["POST"]),
        guard.route("/videos/{video_id:path}/views", one_video, needs=Scope.COUNTS),
    ]


async def _one_video(
    reader: CountsReader, metrics: ApiMetrics, history: History, request: Request, caller: Caller
) -> Response:
    video_id = request.path_params["video_id"]
    if not is_video_id(video_id):
        raise ProblemError(malformed(video_id))
    accept = request.headers.get("accept", "*/*")
    if request.scope["query_string"] or (accept not in _PLAIN and preferred(accept, tuple(MEDIA_TYPES)) != _JSON):
        return await _one_video_as_asked(reader, metrics, history, request, caller)
    (is_own,) = await whose(history, caller, (video_id,))
    (count,) = await served(reader, metrics, (video_id,))
    count = _shown(count, caller, is_own)
    tag = entity_tag(count)
    headers = {"ETag": tag, "Cache-Control": _kept(caller) if count.complete else NOT_KEPT, "Vary": _VARY}
    headers |= missing(reader.missing_part(complete=count.complete))
    condition = request.headers.get("if-none-match")
    if condition is not None and matches(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(_encode(count), headers=headers, media_type=_JSON)


async def _one_video_as_asked(
    reader: CountsReader, metrics: ApiMetrics, history: History, request: Request, caller: Caller
) -> Response:
    """Of a version, as it is for ever, or in another form."""
    video_id = request.path_params["video_id"]
    parameters = Parameters(request.query_params.multi_items(), _ALLOWED)
    form, asked = format_of(request, parameters), parameters.at_version(history.now())
    (is_own,) = await whose(history, caller, (video_id,))
    if asked.is_fixed:
        count = await history.reader.count(video_id, await history.reader.version(asked))
    else:
        (count,) = await served(reader, metrics, (video_id,))
    body = msgspec.structs.asdict(_shown(count, caller, is_own))
    kept = FOR_EVER if asked.number is not None else _FRESH if count.complete else NOT_KEPT
    rows = {"rows": [body]} if form == "csv" else {}
    part = reader.missing_part(complete=count.complete)
    return answer(request, caller, {**body, **rows}, form=form, columns=_COLUMNS, kept=kept, part=part)


async def _lookup(
    reader: CountsReader, metrics: ApiMetrics, history: History, request: Request, caller: Caller
) -> Response:
    video_ids = looked_up(await read_body(request, LOOKUP_BYTES_MAX))
    own = await whose(history, caller, video_ids)
    counts = await served(reader, metrics, video_ids)
    shown = [_shown(count, caller, is_own) for count, is_own in zip(counts, own, strict=True)]
    headers = {"Cache-Control": NOT_KEPT, **missing(reader.missing_part(complete=shown[0].complete))}
    return Response(_encode(_lookup_answer(shown)), headers=headers, media_type=_JSON)


def _shown(count: ServedCount, caller: Caller, is_own: bool) -> ServedCount:
    return count if is_own and caller.may(Scope.BILLABLE) else without_billable(count)


def _lookup_answer(counts: Sequence[ServedCount]) -> dict[str, Any]:
    """All counts of one answer share one version, one instant and one state of completeness."""
    first = counts[0]
    return {
        "version": first.version,
        "settled_until": first.settled_until,
        "as_of": first.as_of,
        "complete": first.complete,
        "counts": counts,
    }


async def served(reader: CountsReader, metrics: ApiMetrics, video_ids: Sequence[str]) -> list[ServedCount]:
    """Return the served counts, counted in the metrics; a store that is away is a problem that says which."""
    try:
        counts = await reader.read(video_ids)
    except UnavailableError as error:
        metrics.unavailable.inc()
        raise settled_unavailable() from error
    for count in counts:
        metrics.answered(count)
    return counts


def _kept(caller: Caller) -> str:
    return f"{'public' if caller.is_anonymous else 'private'}, {_FRESH}"


async def read_body(request: Request, bytes_max: int, seconds_max: float = BODY_SECONDS_MAX) -> bytes:
    """Return the whole body, within bounds of size and time; raises ProblemError."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds_max):
            async for part in request.stream():
                body += part
                if len(body) > bytes_max:
                    raise refused("body_too_large", f"the body has more than {bytes_max} bytes")
    except TimeoutError:
        detail = f"the body did not arrive within {seconds_max:g} seconds"
        raise refused("body_too_slow", detail) from None
    except ClientDisconnect:
        raise refused("body_incomplete", "the connection closed before the whole body arrived") from None
    return bytes(body)
