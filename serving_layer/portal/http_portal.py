"""The portal: server-rendered pages under /portal, complete without scripts and without external content."""

from dataclasses import replace
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from ingestion.contract.problem import Problem
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.http_account_page import account_routes
from serving_layer.portal.http_creator_pages import creator_routes
from serving_layer.portal.http_data_page import data_routes
from serving_layer.portal.http_days_csv import days_csv_routes
from serving_layer.portal.http_earnings_page import earnings_routes
from serving_layer.portal.http_finance_lists import finance_list_routes
from serving_layer.portal.http_finance_pages import finance_routes
from serving_layer.portal.http_invalid_page import invalid_routes
from serving_layer.portal.http_operator_pages import operator_routes
from serving_layer.portal.http_sign_in import sign_in_routes
from serving_layer.portal.http_statement_pages import statement_routes
from serving_layer.portal.http_templates import STATIC, STATIC_FOLDER
from serving_layer.portal.http_traffic_pages import traffic_routes
from serving_layer.portal.http_visit import PLACES, Portal, Visit, redirect, sentence
from serving_layer.portal.http_year_page import year_routes

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

    async def static(request: Request) -> Response:
        try:
            response = await files.get_response(request.path_params["path"], request.scope)
        except HTTPException:
            return await elsewhere(request)
        response.headers.update(_STATIC_HEADERS)
        return response

    async def elsewhere(request: Request) -> Response:
        return Visit(portal, request, await portal.sessions.caller(request)).not_found()

    open_to_all = partial(portal.guard.open, cost=1)
    return [
        open_to_all("/portal", begin),
        *sign_in_routes(portal),
        open_to_all(STATIC + "/{path:path}", static),
        *creator_routes(portal),
        *days_csv_routes(portal),
        *earnings_routes(portal),
        *year_routes(portal),
        *account_routes(portal),
        *invalid_routes(portal),
        *statement_routes(portal),
        *finance_routes(portal),
        *finance_list_routes(portal),
        *data_routes(portal),
        *traffic_routes(portal),
        *operator_routes(portal),
        open_to_all("/portal/{path:path}", elsewhere, methods=("GET", "POST")),
    ]
