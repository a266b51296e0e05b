"""The pages of operators and of people who decide about money."""

from functools import partial

from starlette.responses import Response

from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.http_form import form_of, text_of
from serving_layer.portal.http_statement_pages import statement_of, statement_page
from serving_layer.portal.http_visit import Portal, Visit, page_route, redirect
from serving_layer.portal.ports import RefusedActionError
from serving_layer.request.parameters import is_number

REASON_LENGTH_MAX = 500
DONE_AFTER = {"approve": "approved", "review": "reviewed", "void": "voided"}


def operator_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; none is for callers bound to a payee."""
    read = partial(page_route, portal, needs=Scope.OPERATIONS, is_own=False)
    write = partial(page_route, portal, is_own=False, methods=("POST",))
    return [
        read("/portal/operator", _health),
        read("/portal/operator/runs", _runs),
        read("/portal/operator/runs/{run_id}", _run),
        read("/portal/operator/versions", _versions),
        read("/portal/operator/dead-letters", _dead_letters),
        write("/portal/operator/dead-letters/replay", _replay, needs=Scope.OPERATE),
        page_route(portal, "/portal/operator/approvals", _approvals, needs=Scope.STATEMENTS, is_own=False),
        write("/portal/operator/statements/{statement_id}/{decision}", _decide, needs=Scope.APPROVALS),
    ]


async def _health(visit: Visit) -> Response:
    operator = visit.portal.operator
    partitions = await visit.ask((), operator.partitions)
    return visit.page("health.html", partitions=partitions, parts=await visit.ask((), operator.health))


async def _runs(visit: Visit) -> Response:
    return visit.page("runs.html", runs=await visit.ask((), visit.portal.operator.runs))


async def _run(visit: Visit) -> Response:
    run = await visit.ask(None, visit.portal.operator.run, visit.request.path_params["run_id"])
    if run is None and not visit.affected:
        return visit.not_found()
    return visit.page("run.html", run=run) if run else visit.problem(503, "Not now", "Runs cannot be read now.")


async def _versions(visit: Visit) -> Response:
    operator = visit.portal.operator
    versions = await visit.ask((), operator.versions)
    return visit.page("versions.html", versions=versions, reconciliations=await visit.ask((), operator.reconciliations))


async def _dead_letters(visit: Visit) -> Response:
    return await _dead_letters_page(visit)


async def _dead_letters_page(visit: Visit, *, status: int = 200, refused: str | None = None) -> Response:
    letters = await visit.ask((), visit.portal.operator.dead_letters)
    return visit.page(
        "dead_letters.html",
        status=status,
        refused=refused,
        letters=letters,
        may_replay=visit.known_caller.may(Scope.OPERATE),
    )


async def _replay(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    place = [text_of(form, name) for name in ("partition", "offset")]
    if not all(map(is_number, place)):
        return await _dead_letters_page(visit, status=422, refused="A message is named by its partition and offset.")
    partition, offset = map(int, place)
    try:
        done = await visit.ask(False, visit.portal.operator.replay, partition, offset, visit.known_caller.subject)
    except RefusedActionError as error:
        return await _dead_letters_page(visit, status=409, refused=str(error))
    return redirect("/portal/operator/dead-letters?done=replayed") if done else await _dead_letters_page(visit)


async def _approvals(visit: Visit) -> Response:
    money = visit.portal.money
    return visit.page(
        "approvals.html",
        waiting=await visit.ask((), money.statements_in, "in_review"),
        held=await visit.ask((), money.statements_in, "held"),
        holds=await visit.ask((), money.holds),
        proposals=await visit.ask((), money.proposals),
        appeals=[each for each in await visit.ask((), money.appeals, None) if each.state == "received"],
    )


async def _decide(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    decision, reason = visit.request.path_params["decision"], text_of(form, "reason")
    if decision not in DONE_AFTER:
        return visit.not_found()
    found = await statement_of(visit)
    if isinstance(found, Response):
        return found
    if decision != "approve" and not 1 <= len(reason) <= REASON_LENGTH_MAX:
        refused = f"A reason of 1 to {REASON_LENGTH_MAX} characters is needed: it is stored with the decision."
        return statement_page(visit, found, status=422, refused=refused)
    statement_id, actor = found.detail.statement_id, visit.known_caller.subject
    try:
        await visit.ask(None, visit.portal.actions.decide, statement_id, decision, actor, reason)
    except RefusedActionError as error:
        return statement_page(visit, found, status=409, refused=str(error))
    if visit.affected:
        return statement_page(visit, found, status=503)
    return redirect(f"/portal/statements/{statement_id}?done={DONE_AFTER[decision]}")
