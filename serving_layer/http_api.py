"""The view-count API over HTTP.

The two hot routes are Starlette routes that encode with msgspec, placed before FastAPI's own; their documentation comes
from `openapi.py`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.contract.decoding import is_video_id
from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from serving_layer.counts_reader import CountsReader
from serving_layer.merge import ServedCount, entity_tag
from serving_layer.openapi import documentation
from serving_layer.ports import SettledUnavailableError
from serving_layer.prometheus_api import MEDIA_TYPE, ApiMetrics
from serving_layer.video_ids import LOOKUP_BYTES_MAX, looked_up, malformed

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_FRESH = "public, max-age=1"
_NOT_KEPT = "no-store"
_BODY_SECONDS_MAX = 10.0
_UNAVAILABLE = Problem(503, "settled_counts_unavailable", "the settled count cannot be read now; try again shortly")


@dataclass(frozen=True)
class Api:
    """What the API works with."""

    reader: CountsReader
    metrics: ApiMetrics
    refresh_seconds: float = 0.5


def counts_app(api: Api) -> FastAPI:
    """Return the ASGI application; while it runs it follows the pointer to the current version."""

    async def one_video(request: Request) -> Response:
        started = time.perf_counter()
        response = await _one_video(api, request)
        api.metrics.one_video.observe(time.perf_counter() - started)
        return response

    async def lookup(request: Request) -> Response:
        started = time.perf_counter()
        response = await _lookup(api, request)
        api.metrics.lookup.observe(time.perf_counter() - started)
        return response

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        return _readiness(api.reader)

    async def metrics(_: Request) -> Response:
        return Response(api.metrics.exposition(), headers={"Content-Type": MEDIA_TYPE})

    app = FastAPI(
        title="viewledger",
        summary="View counts people are paid from.",
        docs_url=None,  # their pages load scripts from elsewhere; the document itself is /openapi.json
        redoc_url=None,
        lifespan=_following_versions(api),
        exception_handlers={HTTPException: _http_error, Exception: _unexpected_error},
    )
    app.router.routes[:0] = [
        # `path`, so that an id with a slash in it is told what is wrong with it
        Route("/v1/videos/{video_id:path}/views", one_video),
        Route("/v1/views:lookup", lookup, methods=["POST"]),
        Route("/videos/{video_id:path}/views", one_video),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
    document: dict[str, Any] = documentation(title=app.title, summary=app.summary or "", version="1")
    app.openapi = lambda: document  # type: ignore[method-assign]
    return app


async def _one_video(api: Api, request: Request) -> Response:
    video_id = request.path_params["video_id"]
    if not is_video_id(video_id):
        return _problem(malformed(video_id))
    try:
        (count,) = await api.reader.read((video_id,))
    except SettledUnavailableError as error:
        return _unavailable(api, error)
    api.metrics.answered(count)
    tag = entity_tag(count)
    headers = {"ETag": tag, "Cache-Control": _FRESH if count.complete else _NOT_KEPT}
    condition = request.headers.get("if-none-match")
    if condition is not None and _matches(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(_encode(count), headers=headers, media_type="application/json")


async def _lookup(api: Api, request: Request) -> Response:
    body = await _read_body(request)
    video_ids = looked_up(body) if isinstance(body, bytes) else body
    if isinstance(video_ids, Problem):
        return _problem(video_ids)
    try:
        counts = await api.reader.read(video_ids)
    except SettledUnavailableError as error:
        return _unavailable(api, error)
    for count in counts:
        api.metrics.answered(count)
    return Response(
        _encode(_lookup_answer(counts)), headers={"Cache-Control": _NOT_KEPT}, media_type="application/json"
    )


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


async def _read_body(request: Request) -> bytes | Problem:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS_MAX):
            async for part in request.stream():
                body += part
                if len(body) > LOOKUP_BYTES_MAX:
                    return Problem(413, "body_too_large", f"the body has more than {LOOKUP_BYTES_MAX} bytes")
    except TimeoutError:
        return Problem(408, "body_too_slow", f"the body did not arrive within {_BODY_SECONDS_MAX:g} seconds")
    except ClientDisconnect:
        return Problem(400, "body_incomplete", "the connection closed before the whole body arrived")
    return bytes(body)


def _matches(condition: str, tag: str) -> bool:
    """Compare weakly, as RFC 9110 asks for If-None-Match."""
    wanted = tag.removeprefix("W/")
    return condition.strip() == "*" or any(each.strip().removeprefix("W/") == wanted for each in condition.split(","))


def _following_versions(api: Api) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await _refresh(api.reader)
        follower = asyncio.create_task(_follow(api))
        try:
            yield
        finally:
            follower.cancel()

    return lifespan


async def _follow(api: Api) -> None:
    while True:
        await asyncio.sleep(api.refresh_seconds)
        await _refresh(api.reader)


async def _refresh(reader: CountsReader) -> None:
    before = reader.version
    try:
        await reader.refresh()
    except SettledUnavailableError as error:
        log.warning("pointer not read", extra={"fields": {"reason": str(error)}})
    if reader.version is not None and reader.version is not before:
        log.info("version served", extra={"fields": {"version": reader.version.version}})


def _readiness(reader: CountsReader) -> Response:
    """Ready as soon as a version can be served; without the speed layer the answers are merely incomplete."""
    if reader.version is None:
        return _problem(Problem(503, "version_unknown", "PostgreSQL has not told the published version yet"))
    return JSONResponse({"version": reader.version.version, "speed_layer_answers": reader.is_speed_answering})


def _unavailable(api: Api, error: SettledUnavailableError) -> Response:
    api.metrics.unavailable.inc()
    log.warning("settled counts unavailable", extra={"fields": {"reason": str(error)}})
    return _problem(_UNAVAILABLE, {"Retry-After": "2"})


def _problem(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    headers = {"Cache-Control": _NOT_KEPT, **(headers or {})}
    return Response(problem.to_json(), problem.status, headers, media_type=PROBLEM_MEDIA_TYPE)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    sentences = {
        404: ("not_found", "there is nothing at this path; counts are at /v1/videos/{video_id}/views"),
        405: ("method_not_allowed", f"{request.method} is not allowed here"),
    }
    code, detail = sentences.get(status, ("http_error", "the request cannot be served"))
    return _problem(Problem(status, code, detail), headers)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    return _problem(Problem(500, "internal_error", "an unexpected error; it was logged"))
