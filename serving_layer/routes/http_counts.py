"""The two hot routes: the count of one video, and of many at once. They encode with msgspec.

View counts are public by default; billable views need a scope and, for creators, the payee.
"""

import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, needing
from serving_layer.counts.answers import LookupAnswer, lookup_answer
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.merge import ServedCount, entity_tag, without_billable
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.history_reader import settled_unavailable
from serving_layer.problems.problems import ProblemError
from serving_layer.request.http_parameters import AsOf, Version, VideoId
from serving_layer.request.parameters import at_version
from serving_layer.request.video_ids import LOOKUP_BYTES_MAX, LOOKUP_IDS_MAX, Lookup, looked_up, malformed
from serving_layer.routes.http_answers import IMMUTABLE, NOT_KEPT, Form, answer, matches, missing
from serving_layer.routes.http_bodies import read_body
from serving_layer.routes.http_described import (
    FIXED,
    PUBLIC,
    STORE,
    answered,
    body_of,
    done,
    problems_of,
    record_of,
    schema_of,
)
from serving_layer.routes.http_history import History, whose

_encode = msgspec.json.Encoder().encode
_FRESH = "max-age=1"
_JSON = "application/json"
_PLAIN = ("*/*", _JSON)
"""The usual values of Accept: JSON, without a closer look."""
_VARY = "Authorization, Accept"
_COLUMNS = ("video_id", "views", "settled_views", "provisional_views", "billable_views", "known")


@dataclass(frozen=True)
class Counts:
    """The parts of the routes."""

    guard: Guard
    reader: CountsReader
    metrics: ApiMetrics
    history: History


def counts_routes(guard: Guard, reader: CountsReader, metrics: ApiMetrics, history: History) -> list[GuardedRoute]:
    """Return the routes of view counts."""
    counts = Counts(guard, reader, metrics, history)
    responses = answered(
        ServedCount, "The served count", (*FIXED, "video_id_malformed", "not_found", "query_too_slow", STORE)
    )

    def one(path: str, summary: str) -> GuardedRoute:
        endpoint, quick = partial(one_video, counts), partial(_quick, counts)
        return guard.route(path, endpoint, quick=quick, summary=summary, responses=responses, openapi_extra=PUBLIC)

    looked = ("body_malformed", "body_incomplete", "body_too_slow", "body_too_large", "lookup_invalid", "lookup_size")
    body = {_JSON: {"schema": schema_of(Lookup), "example": {"video_ids": ["-JinobXWPk", "never-seen"]}}}
    return [
        # `path`, so that an id with a slash in it is refused with the reason
        one("/v1/videos/{video_id:path}/views", "The views of a video: settled and provisional"),
        guard.route(
            "/v1/views:lookup",
            partial(lookup, counts),
            methods=["POST"],
            summary=f"The views of up to {LOOKUP_IDS_MAX} videos, all at one version",
            responses={
                200: done("The served counts", {_JSON: record_of(LookupAnswer)}, "X-Missing-Part"),
                **problems_of((*looked, "video_id_malformed", "not_found", STORE)),
            },
            openapi_extra=PUBLIC | body_of(body),
        ),
        one("/videos/{video_id:path}/views", "The same, under a plain path"),
    ]


def _quick(counts: Counts, request: Request) -> Coroutine[Any, Any, Response] | None:
    """Return the answer to the usual request: the present count, as JSON; None for any other request.

    There are no parameters then for FastAPI to read. Measured on fakes without a network, a request costs 61 to 68
    microseconds of CPU this way, and 174 to 229 by way of `one_video`, which answers the same.
    """
    if request.scope["query_string"] or request.headers.get("accept", "*/*") not in _PLAIN:
        return None
    return _one_video_now(counts, request)


async def _one_video_now(counts: Counts, request: Request) -> Response:
    caller, started = await counts.guard.admitted(request, Scope.COUNTS), time.perf_counter()
    try:
        video_id = request.path_params["video_id"]
        if not is_video_id(video_id):
            raise ProblemError(malformed(video_id))
        (is_own,) = await whose(counts.history, caller, (video_id,))
        (count,) = await served(counts.reader, counts.metrics, (video_id,))
        return _ready(counts, request, caller=caller, count=shown(count, caller, is_own=is_own))
    finally:
        counts.metrics.one_video.observe(time.perf_counter() - started)


def _ready(counts: Counts, request: Request, *, caller: Caller, count: ServedCount) -> Response:
    tag = entity_tag(count)
    headers = {"ETag": tag, "Cache-Control": _kept(caller) if count.complete else NOT_KEPT, "Vary": _VARY}
    headers |= missing(counts.reader.missing_part(complete=count.complete))
    condition = request.headers.get("if-none-match")
    if condition is not None and matches(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(_encode(count), headers=headers, media_type=_JSON)


async def one_video(
    counts: Counts,
    caller: Annotated[Caller, needing(Scope.COUNTS)],
    *,
    request: Request,
    video_id: VideoId,
    known: OnlyKnown,
    form: Form,
    version: Version = None,
    as_of: AsOf = None,
) -> Response:
    """Return the count; an unknown video has zero views and `known: false`.

    `billable_views` is null for a caller who may not see it.
    """
    started = time.perf_counter()
    try:
        asked = at_version(version, as_of, sent=request.query_params.get("as_of", ""), now=counts.history.now())
        (is_own,) = await whose(counts.history, caller, (video_id,))
        if asked.is_fixed:
            reader = counts.history.reader
            count = await reader.count(video_id, await reader.version(asked))
        else:
            (count,) = await served(counts.reader, counts.metrics, (video_id,))
        count = shown(count, caller, is_own=is_own)
        if form == "json" and not request.scope["query_string"]:
            return _ready(counts, request, caller=caller, count=count)
        kept = IMMUTABLE if asked.number is not None else _FRESH if count.complete else NOT_KEPT
        part = counts.reader.missing_part(complete=count.complete)
        return answer(request, caller, count, form=form, rows=[count], columns=_COLUMNS, kept=kept, part=part)
    finally:
        counts.metrics.one_video.observe(time.perf_counter() - started)


async def lookup(counts: Counts, caller: Annotated[Caller, needing(Scope.COUNTS)], *, request: Request) -> Response:
    """Return the counts in the order of the ids, all of one version."""
    started = time.perf_counter()
    try:
        video_ids = looked_up(await read_body(request, LOOKUP_BYTES_MAX))
        own = await whose(counts.history, caller, video_ids)
        found = await served(counts.reader, counts.metrics, video_ids)
        counted = [shown(count, caller, is_own=is_own) for count, is_own in zip(found, own, strict=True)]
        headers = {"Cache-Control": NOT_KEPT, **missing(counts.reader.missing_part(complete=counted[0].complete))}
        return Response(_encode(lookup_answer(counted)), headers=headers, media_type=_JSON)
    finally:
        counts.metrics.lookup.observe(time.perf_counter() - started)


def shown(count: ServedCount, caller: Caller, *, is_own: bool) -> ServedCount:
    """Return the part of a count that a caller may see."""
    return count if is_own and caller.may(Scope.BILLABLE) else without_billable(count)


async def served(reader: CountsReader, metrics: ApiMetrics, video_ids: Sequence[str]) -> list[ServedCount]:
    """Return the served counts, counted in the metrics; an unreachable store is a problem that names it."""
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
