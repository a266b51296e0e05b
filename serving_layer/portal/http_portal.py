"""The portal: server-rendered pages under /portal, whole without script, with nothing from elsewhere."""

from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from ingestion.contract.problem import Problem
from serving_layer.http_access import GuardedRoute
from serving_layer.limits_requests import REFUSED
from serving_layer.portal.http_creator_pages import creator_routes
from serving_layer.portal.http_operator_pages import operator_routes
from serving_layer.portal.http_session import CREDENTIAL_LENGTH_MAX
from serving_layer.portal.http_statement_pages import statement_routes
from serving_layer.portal.http_templates import STATIC, STATIC_FOLDER
from serving_layer.portal.http_visit import PLACES, Portal, Visit, form_of, redirect, sentence, text_of
from serving_layer.problems import ProblemError

_STATIC_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


def portal_routes(portal: Portal) -> list[GuardedRoute]:
    """Return every route below /portal."""

    def page_of(request: Request, problem: Problem) -> Response:
        return Visit(portal, request, None).problem(problem.status, "Not now", sentence(problem.detail))

    portal = replace(portal, guard=portal.guard.showing(page_of))
    files = StaticFiles(directory=STATIC_FOLDER)

    async def begin(request: Request) -> Response:
        caller = await portal.sessions.caller(request)
        if caller is None:
            return redirect("/portal/sign-in")
        first = next((place.path for place in PLACES if place.is_for(caller)), None)
        return redirect(first) if first else Visit(portal, request, caller).not_found()

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

    async def static(request: Request) -> Response:
        try:
            response = await files.get_response(request.path_params["path"], request.scope)
        except HTTPException:
            return await elsewhere(request)
        response.headers.update(_STATIC_HEADERS)
        return response

    async def elsewhere(request: Request) -> Response:
        return Visit(portal, request, await portal.sessions.caller(request)).not_found()

    open_to_all = portal.guard.open
    return [
        open_to_all("/portal", begin),
        open_to_all("/portal/sign-in", sign_in, methods=("GET", "POST")),
        open_to_all("/portal/sign-out", sign_out, methods=("POST",)),
        open_to_all(STATIC + "/{path:path}", static),
        *creator_routes(portal),
        *statement_routes(portal),
        *operator_routes(portal),
        open_to_all("/portal/{path:path}", elsewhere, methods=("GET", "POST")),
    ]


async def _signed_in(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    credential, sessions, guard = text_of(form, "credential"), visit.portal.sessions, visit.portal.guard
    if not 1 <= len(credential) <= CREDENTIAL_LENGTH_MAX:
        refused = f"A token or key has 1 to {CREDENTIAL_LENGTH_MAX} characters; this one has {len(credential)}."
        return visit.page("sign_in.html", status=422, refused=refused)
    try:
        await sessions.credentials.caller_of(credential)
    except ProblemError as error:
        if error.problem.status != 401:
            raise
        if not guard.limits.hit(REFUSED, guard.network_of(visit.request)).is_allowed:
            return visit.page("sign_in.html", status=429, refused="Too many tries; wait a minute.")
        return visit.page("sign_in.html", status=401, refused=sentence(error.problem.detail))
    response = redirect("/portal")
    sessions.begin(response, credential)
    return response
