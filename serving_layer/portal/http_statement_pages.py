"""Statements: the whole way from views to money, their files, their events, appeals. For creators and for the books."""

from functools import partial

from starlette.responses import Response, StreamingResponse

from serving_layer.access import Scope
from serving_layer.http_access import GuardedRoute
from serving_layer.portal.http_visit import (
    NOT_KEPT,
    SECURITY_HEADERS,
    Portal,
    Visit,
    form_of,
    page_route,
    redirect,
    text_of,
)
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.records import StatementPage
from serving_layer.portal.statement_files import statement_csv, statement_json

LINES_SHOWN = 200
APPEAL_LENGTH_MAX = 2_000
APPEALABLE = ("finalised", "paid", "held")


def statement_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; a statement of another payee is not there."""
    read = partial(page_route, portal, needs=Scope.STATEMENTS)
    return [
        read("/portal/statements", _statements),
        read("/portal/statements/{statement_id}.csv", _statement_csv),
        read("/portal/statements/{statement_id}.json", _statement_json),
        page_route(portal, "/portal/statements/{statement_id}/events", _statement_events, needs=Scope.EVENTS),
        read("/portal/statements/{statement_id}", _statement),
        read("/portal/appeals", _appeal, is_own=True, methods=("POST",)),
    ]


async def _statements(visit: Visit) -> Response:
    rows = await visit.ask((), visit.portal.money.statements, visit.known_caller.payee_id)
    return visit.page("statements.html", rows=rows)


async def _statement(visit: Visit) -> Response:
    found = await statement_of(visit)
    return found if isinstance(found, Response) else statement_page(visit, found)


def statement_page(visit: Visit, found: StatementPage, *, status: int = 200, refused: str | None = None) -> Response:
    """Return the page of a statement, with what this caller may do about it."""
    decisions = _DECISIONS.get(found.row.state, ()) if visit.known_caller.may(Scope.APPROVALS) else ()
    return visit.page(
        "statement.html",
        status=status,
        refused=refused,
        row=found.row,
        chain=found.chain,
        lines=found.lines[:LINES_SHOWN],
        more_lines=max(0, len(found.lines) - LINES_SHOWN),
        transitions=found.transitions,
        versions=found.versions,
        carried=found.carried_nanomicros,
        may_appeal=visit.known_caller.payee_id is not None and found.row.state in APPEALABLE,
        may_decide=bool(decisions),
        decisions=decisions,
    )


_APPROVE = ("approve", "Approve", "", False)
_RELEASE = ("release", "Release", "", True)
_VOID = ("void", "Void", "bad", True)
_DECISIONS = {"in_review": (_APPROVE, _VOID), "held": (_RELEASE, _VOID)}
"""State of a statement → what can be decided: name, label, style, whether it needs a reason."""


async def statement_of(visit: Visit) -> StatementPage | Response:
    """Return the statement that the address names, or the page that says that it is not there for this caller."""
    found = await visit.ask(None, visit.portal.money.statement, visit.request.path_params["statement_id"])
    if visit.affected:
        return visit.problem(503, "Not now", "Statements cannot be read now; try again shortly.")
    payee_id = visit.known_caller.payee_id
    if found is None or payee_id not in (None, found.row.payee_id):
        return visit.not_found()
    return found


async def _statement_csv(visit: Visit) -> Response:
    return await _download(visit, "csv")


async def _statement_json(visit: Visit) -> Response:
    return await _download(visit, "json")


async def _download(visit: Visit, form: str) -> Response:
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    text, media_type = (
        (statement_csv(found), "text/csv; charset=utf-8")
        if form == "csv"
        else (statement_json(found), "application/json")
    )
    name = f"statement-{found.row.statement_id}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=SECURITY_HEADERS | NOT_KEPT | headers, media_type=media_type)


async def _statement_events(visit: Visit) -> Response:
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    lines = await visit.ask(None, visit.portal.events.of_statement, found.row.statement_id)
    if lines is None:
        return visit.problem(503, "Not now", "The events cannot be read now; try again shortly.")
    headers = {"Content-Disposition": f'attachment; filename="events-{found.row.statement_id}.ndjson"'}
    return StreamingResponse(lines, headers=SECURITY_HEADERS | NOT_KEPT | headers, media_type="application/x-ndjson")


async def _appeal(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    statement_id, text = text_of(form, "statement_id"), text_of(form, "text")
    visit.request.path_params["statement_id"] = statement_id
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    if not 1 <= len(text) <= APPEAL_LENGTH_MAX:
        refused = f"An appeal has 1 to {APPEAL_LENGTH_MAX} characters; this one has {len(text)}."
        return statement_page(visit, found, status=422, refused=refused)
    try:
        done = await visit.ask(False, _appealed, visit.portal, statement_id, visit.payee_id, text)
    except RefusedActionError as error:
        return statement_page(visit, found, status=409, refused=str(error))
    return redirect("/portal/notices?said=appealed") if done else statement_page(visit, found, status=503)


def _appealed(portal: Portal, statement_id: str, payee_id: str, text: str) -> bool:
    portal.actions.appeal(statement_id, payee_id, text)
    return True
