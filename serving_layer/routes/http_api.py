"""The API over HTTP: one application made of guarded routes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.http_access import Guard, GuardedRoute, problem_document, refuse_unguarded
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.problems.problems import problem, refused
from serving_layer.routes.http_badge import badge_routes
from serving_layer.routes.http_channels import channel_routes
from serving_layer.routes.http_counts import counts_routes
from serving_layer.routes.http_described import document, only_problems_of
from serving_layer.routes.http_docs_page import docs_routes
from serving_layer.routes.http_history import History, history_routes
from serving_layer.routes.http_invalid import invalid_routes
from serving_layer.routes.http_live import LiveStreams, live_routes

logger = logging.getLogger(__name__)
_DOCUMENT = "This document"


@dataclass(frozen=True)
class Api:
    """The parts of the API. `routes` are further ones, made by a guard."""

    reader: CountsReader
    metrics: ApiMetrics
    guard: Guard
    history: History
    live: LiveStreams = field(default_factory=LiveStreams)
    routes: Sequence[GuardedRoute] = ()
    refresh_seconds: float = 0.5
    shows_docs: bool = False
    """Whether `/docs` shows the OpenAPI document as a page."""


def counts_app(api: Api) -> FastAPI:
    """Return the ASGI application; while it runs it follows the pointer to the current version.

    Raises:
        TypeError: a route was not made by a guard.
    """
    app = FastAPI(
        title="viewledger",
        version="1",
        summary="View counts people are paid from.",
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; `docs_routes` serves ours
        redoc_url=None,
        openapi_url=None,
        lifespan=_following_versions(api),
        exception_handlers={HTTPException: _http_error, Exception: _unexpected_error},
    )
    app.router.redirect_slashes = False  # a redirect would name the scheme and the host that this process sees
    app.router.routes += [
        # An id may hold a slash, to be told that it must not; the ends of the paths tell them apart. The hot first.
        *counts_routes(api.guard, api.reader, api.metrics, api.history),
        *badge_routes(api.guard, api.reader, api.metrics, api.history),
        *history_routes(api.guard, api.history),
        *invalid_routes(api.guard, api.history),
        *live_routes(api.guard, api.reader, api.history, api.live),
        *channel_routes(api.guard, api.history, api.reader, api.metrics, api.live),
        *api.routes,
        *_probes(api, app),
        *(docs_routes(api.guard) if api.shows_docs else ()),
    ]
    refuse_unguarded(app.router.routes)
    app.openapi = partial(document, app)  # type: ignore[method-assign] # the way to extend it
    return app


def _probes(api: Api, app: FastAPI) -> list[GuardedRoute]:
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz() -> Response:
        return _readiness(api.reader)

    async def openapi() -> Response:
        described = msgspec.json.encode(app.openapi())
        return Response(described, headers={"Cache-Control": "public, max-age=300"}, media_type="application/json")

    lives, ready = "Whether the process lives", "Whether a version is served, and whether the speed layer answers"
    unready = only_problems_of(["version_unknown"])
    return [
        api.guard.open("/healthz", healthz, summary=lives, responses={200: {"description": lives}}),
        api.guard.open("/readyz", readyz, summary=ready, responses={200: {"description": ready}, **unready}),
        api.guard.open("/openapi.json", openapi, summary=_DOCUMENT, responses={200: {"description": _DOCUMENT}}),
    ]


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
    except UnavailableError as error:
        logger.warning("pointer not read", extra={"fields": {"reason": str(error)}})
    if reader.version is not None and reader.version is not before:
        logger.info("version served", extra={"fields": {"version": reader.version.version}})


def _readiness(reader: CountsReader) -> Response:
    """Return ready as soon as a version can be served; without the speed layer the answers are merely incomplete."""
    if reader.version is None:
        raise refused("version_unknown", "the published version has not been read from PostgreSQL yet")
    return JSONResponse({"version": reader.version.version, "speed_layer_answers": reader.is_speed_answering})


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    sentences = {
        404: ("not_found", "there is nothing at this path; /openapi.json lists what there is"),
        405: ("method_not_allowed", f"{request.method} is not allowed here"),
    }
    code, detail = sentences.get(status, ("http_error", "the request cannot be served"))
    answer = problem_document(request, problem(code, detail))
    answer.headers.update(headers)
    return answer


async def _unexpected_error(request: Request, error: Exception) -> Response:
    return problem_document(request, problem("internal_error", "an unexpected error; it was logged"))
