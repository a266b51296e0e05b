"""The portal: server-rendered pages under /portal, whole without script, with nothing from elsewhere."""

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from serving_layer.portal.http_creator_pages import creator_routes
from serving_layer.portal.http_operator_pages import operator_routes
from serving_layer.portal.http_session import TOKEN_LENGTH_MAX
from serving_layer.portal.http_statement_pages import statement_routes
from serving_layer.portal.http_templates import STATIC, STATIC_FOLDER
from serving_layer.portal.http_visit import Portal, Visit, form_of, redirect, text_of

REFUSED_PAUSE_SECONDS = 0.5
"""A wrong token is answered no sooner, so that guessing is slow."""


def portal_routes(portal: Portal) -> list[BaseRoute]:
    """Return every route below /portal, to be put before the API's own."""

    async def sign_in(request: Request) -> Response:
        visit = Visit(portal, request, None)
        return await _signed_in(visit) if request.method == "POST" else visit.page("sign_in.html")

    async def sign_out(request: Request) -> Response:
        form = await form_of(Visit(portal, request, None))
        if isinstance(form, Response):
            return form
        response = redirect("/portal/sign-in")
        portal.sessions.end(response)
        return response

    async def elsewhere(request: Request) -> Response:
        return Visit(portal, request, await run_in_threadpool(portal.sessions.person, request)).not_found()

    return [
        Route("/portal/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/portal/sign-out", sign_out, methods=["POST"]),
        Mount(STATIC, StaticFiles(directory=STATIC_FOLDER)),
        *creator_routes(portal),
        *statement_routes(portal),
        *operator_routes(portal),
        Route("/portal/{path:path}", elsewhere, methods=["GET", "POST"]),
    ]


async def _signed_in(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    token, sessions = text_of(form, "token"), visit.portal.sessions
    if len(token) > TOKEN_LENGTH_MAX:
        refused = f"A token has at most {TOKEN_LENGTH_MAX} characters; this one has {len(token)}."
        return visit.page("sign_in.html", status=422, refused=refused)
    person = await run_in_threadpool(sessions.people.person, token)
    if person is None:
        await asyncio.sleep(REFUSED_PAUSE_SECONDS)
        refused = "This token is not valid here: it may be cut off, expired, or made for something else."
        return visit.page("sign_in.html", status=401, refused=refused)
    response = redirect("/portal")
    sessions.begin(response, token, person.expires_at, visit.portal.now())
    return response
