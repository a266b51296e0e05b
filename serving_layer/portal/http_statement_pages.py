"""Statements: the whole way from views to money, their files, events and appeals. For creators and for finance."""

import secrets
from functools import partial

import msgspec
from starlette.responses import Response

from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.money.appeals import APPEALABLE, OBJECTION_LENGTH_MAX
from serving_layer.money.idempotency import key_of, request_key
from serving_layer.money.proofs import NDJSON
from serving_layer.money.statements import StatementLine, is_shown
from serving_layer.portal.formatting import machine
from serving_layer.portal.http_files import csv_of, download, headers_of
from serving_layer.portal.http_finance_lists import finance_statements
from serving_layer.portal.http_form import form_of, text_of
from serving_layer.portal.http_visit import (
    Portal,
    Visit,
    page_route,
    redirect,
)
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.records import WholeStatement
from serving_layer.portal.statement_chain import chain_of
from serving_layer.problems.problems import ProblemError
from serving_layer.routes.http_proofs import streamed_events

LINES_SHOWN = 200
_LINE_COLUMNS = tuple(field.name for field in msgspec.structs.fields(StatementLine))


def statement_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; payees see only their own, decided statements."""
    read = partial(page_route, portal, needs=Scope.STATEMENTS)
    return [
        read("/portal/statements", _statements),
        read("/portal/statements/{statement_id}.csv", _statement_csv),
        read("/portal/statements/{statement_id}.json", _statement_json),
        read("/portal/statements/{statement_id}/bundle", _statement_bundle),
        page_route(portal, "/portal/statements/{statement_id}/events", _statement_events, needs=Scope.EVENTS),
        read("/portal/statements/{statement_id}", _statement),
        page_route(portal, "/portal/appeals", _appeal, needs=Scope.APPEALS, is_own=True, methods=("POST",)),
    ]


async def _statements(visit: Visit) -> Response:
    if visit.known_caller.payee_id is None:
        return await finance_statements(visit)
    rows = await visit.ask((), visit.portal.money.statements, visit.known_caller.payee_id)
    return visit.page("statements.html", rows=[row for row in rows if is_shown(row.summary, visit.known_caller)])


async def _statement(visit: Visit) -> Response:
    found = await statement_of(visit)
    return found if isinstance(found, Response) else statement_page(visit, found)


def statement_page(visit: Visit, found: WholeStatement, *, status: int = 200, refused: str | None = None) -> Response:
    """Return the page of a statement, with the actions that this caller may take."""
    statement, caller = found.detail, visit.known_caller
    decisions = _DECISIONS.get(statement.state, ()) if caller.may(Scope.APPROVALS) and caller.payee_id is None else ()
    return visit.page(
        "statement.html",
        status=status,
        refused=refused,
        statement=statement,
        payee_name=found.payee_name,
        steps=found.steps,
        successor=found.successor,
        predecessor=found.predecessor,
        chain=chain_of(statement),
        lines=statement.lines[:LINES_SHOWN],
        more_lines=max(0, len(statement.lines) - LINES_SHOWN),
        may_see_events=caller.may(Scope.EVENTS),
        may_appeal=caller.payee_id is not None and caller.may(Scope.APPEALS) and statement.state in APPEALABLE,
        request_key=secrets.token_urlsafe(16),
        decisions=decisions,
    )


_VOID = ("void", "Void", "bad", True)
_DECISIONS = {
    "in_review": (("approve", "Approve", "", False), _VOID),
    "held": (("review", "Put into review", "", True), _VOID),
}
"""State of a statement → what can be decided: name, label, style, whether it needs a reason."""


async def statement_of(visit: Visit) -> WholeStatement | Response:
    """Return the statement in the address, or the page for a missing one if this caller may not see it."""
    found = await visit.ask(None, visit.portal.money.statement, visit.request.path_params["statement_id"])
    if visit.affected:
        return visit.not_now("Statements")
    if found is None or not is_shown(found.detail, visit.known_caller):
        return visit.not_found()
    return found


async def _statement_csv(visit: Visit) -> Response:
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    return download(f"statement-{found.detail.statement_id}.csv", lines_csv(found))


async def _statement_json(visit: Visit) -> Response:
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    steps = [
        {"state": each.state, "actor": each.actor, "reason": each.reason, "at": machine(each.at)}
        for each in found.steps
    ]
    document = msgspec.to_builtins(found.detail) | {"payee_name": found.payee_name, "steps": steps}
    content = msgspec.json.format(msgspec.json.encode(document), indent=1)
    return download(f"statement-{found.detail.statement_id}.json", content, "application/json")


async def _statement_bundle(visit: Visit) -> Response:
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    statement_id = found.detail.statement_id
    bundle = await visit.ask(None, visit.portal.money.bundle, statement_id)
    if bundle is None:
        return visit.not_now("What checks a statement")
    return download(f"statement-{statement_id}.bundle.json", bundle, "application/json")


def lines_csv(found: WholeStatement) -> bytes:
    """Return the lines of a statement as CSV with a header line."""
    rows = ((*msgspec.structs.astuple(line), found.detail.currency) for line in found.detail.lines)
    return csv_of((*_LINE_COLUMNS, "currency"), rows)


async def _statement_events(visit: Visit) -> Response:
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    statement_id = found.detail.statement_id
    streamed = streamed_events(visit.portal.proofs, visit.known_caller, statement_id=statement_id, after=0, form=NDJSON)
    response = await visit.attempt(None, streamed)
    if response is None:
        return visit.not_now("The events")
    response.headers.update(headers_of(f"events-{statement_id}.ndjson"))
    return response


async def _appeal(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    text = text_of(form, "text")
    visit.request.path_params["statement_id"] = text_of(form, "statement_id")
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    if not 1 <= len(text) <= OBJECTION_LENGTH_MAX:
        refused = f"An appeal has 1 to {OBJECTION_LENGTH_MAX} characters; this one has {len(text)}."
        return statement_page(visit, found, status=422, refused=refused)
    if found.detail.state not in APPEALABLE:
        refused = f"The statement is {found.detail.state}; an appeal needs one of {', '.join(sorted(APPEALABLE))}."
        return statement_page(visit, found, status=409, refused=refused)
    statement_id, caller = found.detail.statement_id, visit.known_caller
    try:
        key = request_key(
            key_of(text_of(form, "request_key")), caller, path=f"appeal {statement_id}", body=text.encode()
        )
    except ProblemError:
        return statement_page(visit, found, status=422, refused="The form is incomplete; send it from this page.")
    try:
        await visit.ask(None, visit.portal.actions.appeal, statement_id, text, key)
    except RefusedActionError as error:
        return statement_page(visit, found, status=409, refused=str(error))
    return statement_page(visit, found, status=503) if visit.affected else redirect("/portal/notices?done=appealed")
