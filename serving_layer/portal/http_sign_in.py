"""Sign in and out: by a pasted token or key, or at an identity provider."""

import hmac
import re
import secrets
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from serving_layer.access.http_access import GuardedRoute
from serving_layer.access.limits_requests import REFUSED
from serving_layer.access.sign_in import begun, safe_return_path
from serving_layer.portal.http_form import form_of, text_of
from serving_layer.portal.http_session import COOKIE_LENGTH_MAX, CREDENTIAL_LENGTH_MAX
from serving_layer.portal.http_visit import (
    NOT_KEPT,
    PAGE_COST,
    SECURITY_HEADERS,
    Portal,
    Visit,
    redirect,
    sentence,
)
from serving_layer.problems.problems import ProblemError

CODE_LENGTH_MAX = 2_048
_TITLE = "Not signed in"
_TOO_LONG = (
    f"does not fit into the {COOKIE_LENGTH_MAX} characters that a browser keeps; the identity provider must put fewer "
    "claims into it."
)
_is_error_code = re.compile(r"[a-z_]{1,60}").fullmatch


def sign_in_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; those of the identity provider only if one is configured."""

    async def sign_in(request: Request) -> Response:
        visit = Visit(portal, request, None)
        return await _by_credential(visit) if request.method == "POST" else _page(visit)

    async def sign_out(request: Request) -> Response:
        form = await form_of(Visit(portal, request, None))
        if isinstance(form, Response):
            return form
        response = redirect("/portal/sign-in")
        await portal.sessions.end(request, response)
        return response

    async def leave(request: Request) -> Response:
        return await _leave(Visit(portal, request, None))

    async def come_back(request: Request) -> Response:
        response = await _come_back(Visit(portal, request, None))
        portal.sessions.end_attempt(response)
        return response

    open_to_all = partial(portal.guard.open, cost=PAGE_COST)
    routes = [
        open_to_all("/portal/sign-in", sign_in, methods=("GET", "POST")),
        open_to_all("/portal/sign-out", sign_out, methods=("POST",)),
    ]
    if portal.provider is not None:
        routes += [
            open_to_all("/portal/sign-in/leave", leave),
            open_to_all("/portal/sign-in/return", come_back),
        ]
    return routes


def _page(visit: Visit, *, status: int = 200, refused: str | None = None, return_path: str | None = None) -> Response:
    path = safe_return_path(return_path or visit.request.query_params.get("return", ""))
    provider = visit.portal.provider
    return visit.page(
        "sign_in.html",
        status=status,
        refused=refused,
        return_path=path,
        provider=provider.name if provider else None,
        leave=f"/portal/sign-in/leave?{urlencode({'return': path})}",
    )


async def _by_credential(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    credential, sessions, path = text_of(form, "credential"), visit.portal.sessions, text_of(form, "return")
    if not 1 <= len(credential) <= CREDENTIAL_LENGTH_MAX:
        refused = f"A token or key has 1 to {CREDENTIAL_LENGTH_MAX} characters; this one has {len(credential)}."
        return _page(visit, status=422, refused=refused, return_path=path)
    try:
        await sessions.credentials.caller_of(credential)
    except ProblemError as error:
        if error.problem.status != 401:
            raise
        if _is_too_often(visit):
            return _page(visit, status=429, refused="Too many tries; wait a minute.", return_path=path)
        return _page(visit, status=401, refused=sentence(error.problem.detail), return_path=path)
    response = redirect(safe_return_path(path))
    if not sessions.begin(response, credential):
        return _page(visit, status=422, refused=f"The token {_TOO_LONG}", return_path=path)
    return response


async def _leave(visit: Visit) -> Response:
    """Send the browser to the identity provider; a cookie of its own holds what it must return with."""
    portal, request = visit.portal, visit.request
    assert portal.provider is not None  # noqa: S101  the route is there only then
    texts = (secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
    attempt = begun(request.query_params.get("return", ""), texts, portal.now())
    url = await portal.provider.authorization_url(attempt)
    response = RedirectResponse(url, 303, headers=SECURITY_HEADERS | NOT_KEPT)
    portal.sessions.begin_attempt(response, attempt)
    return response


async def _come_back(visit: Visit) -> Response:
    portal, query = visit.portal, visit.request.query_params
    assert portal.provider is not None  # noqa: S101  the route is there only then
    attempt = portal.sessions.attempt(visit.request, portal.now())
    if attempt is None:
        refusal = "This sign-in was not begun in this browser, or more than 10 minutes ago; sign in again."
        return visit.problem(400, _TITLE, refusal)
    if not hmac.compare_digest(attempt.state.encode(), query.get("state", "").encode(errors="replace")):
        refusal = "The answer is not for the last sign-in that this browser began (its state differs); sign in again."
        return visit.problem(400, _TITLE, refusal)
    if (error := query.get("error")) is not None:
        reason = f" ({error})" if _is_error_code(error) else ""
        return visit.problem(401, _TITLE, f"The identity provider did not sign you in{reason}.")
    if not 1 <= len(code := query.get("code", "")) <= CODE_LENGTH_MAX:
        return visit.problem(400, _TITLE, "The identity provider sent no code; sign in again.")
    try:
        credential = await portal.provider.id_token(code, attempt)
    except ProblemError as refusal:
        if refusal.problem.status != 401:
            raise
        if _is_too_often(visit):
            return visit.problem(429, _TITLE, "Too many tries; wait a minute.")
        return visit.problem(401, _TITLE, sentence(refusal.problem.detail))
    response = redirect(attempt.return_path)
    if not portal.sessions.begin(response, credential):
        return visit.problem(401, _TITLE, f"Your ID token {_TOO_LONG}")
    return response


def _is_too_often(visit: Visit) -> bool:
    guard = visit.portal.guard
    return not guard.limits.hit(REFUSED, guard.network_of(visit.request)).is_allowed
