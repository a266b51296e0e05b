"""The pages of those who decide on groups of traffic under review: the list, and one group with its evidence."""

from functools import partial
from urllib.parse import urlencode

from starlette.responses import Response

from ingestion.contract.allowed_traffic import AllowedInForce, AllowedKind
from ingestion.contract.printable import is_name
from ingestion.contract.traffic_groups import time_left
from ingestion.contract.traffic_reasons import DayReason
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.money.appeals import OBJECTION_LENGTH_MAX
from serving_layer.portal.evidence_charts import PLOT_HEIGHT, TOP, WIDTH, charts_of, totals_of
from serving_layer.portal.formatting import words
from serving_layer.portal.http_form import form_of, text_of
from serving_layer.portal.http_visit import Portal, Visit, page_route, redirect
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.traffic_records import GroupDetail, GroupRow

LIST, GROUP = "/portal/traffic", "/portal/traffic/group"
GROUPS_SHOWN = 500
NAME_LENGTH_MAX = 400
REASON_LENGTH_MAX = 500
OUTCOMES = ("released", "confirmed")
_SENTENCES = {each.code: each.sentence for each in DayReason}


def traffic_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; none is for callers bound to a payee."""
    route = partial(page_route, portal, needs=Scope.TRAFFIC, is_own=False)
    return [
        route(LIST, _groups),
        route(GROUP, _group),
        route("/portal/traffic/decide", _decide, methods=("POST",)),
        route("/portal/traffic/answer", _answer, methods=("POST",)),
    ]


def reason_sentence(rule: str) -> str:
    """Return why the rules doubt the events of a group; the words of the code for a reason of a later release."""
    return _SENTENCES.get(rule, words(rule))


def presence(allowed: AllowedInForce, group: GroupRow) -> str:
    """Return whether the views of a sender who is allowed on a group's day can be among its events."""
    entry = allowed.entry
    if group.rule in entry.reasons:
        return "no: exempt from the reason of this group"
    if entry.kind is AllowedKind.PAYEE:
        return "yes: all are of this payee" if entry.name == group.payee_id else "no: of another payee"
    return f"unknown: exempt from other reasons, and the evidence has no {entry.kind}"


async def _groups(visit: Visit) -> Response:
    return await _list_page(visit)


async def _list_page(visit: Visit, *, status: int = 200, refused: str | None = None) -> Response:
    reviews, now = visit.portal.reviews, visit.portal.now()
    groups = await visit.ask((), reviews.groups)
    rows = [(each, reason_sentence(each.rule), time_left(each.released_at, now)) for each in groups[:GROUPS_SHOWN]]
    return visit.page(
        "traffic.html",
        status=status,
        refused=refused,
        rows=rows,
        count=len(groups),
        appeals=await visit.ask((), reviews.open_appeals),
        longest=OBJECTION_LENGTH_MAX,
        decided=await visit.ask((), reviews.decided),
        allowed=[each for each in await visit.ask((), reviews.allowed) if each.end_on > now.date()],
    )


async def _group(visit: Visit) -> Response:
    name = visit.request.query_params.get("name", "")
    found = await _found(visit, name)
    return found if isinstance(found, Response) else _group_page(visit, found)


async def _found(visit: Visit, name: str) -> GroupDetail | Response:
    """Return the group with a name, or the page that says why there is none to decide on."""
    if not is_name(name, most=NAME_LENGTH_MAX):
        return visit.not_found()
    try:
        found = await visit.ask(None, visit.portal.reviews.group, name)
    except RefusedActionError as error:
        return visit.problem(409, "Not under review as this group", str(error))
    if visit.affected:
        return visit.not_now("Groups under review")
    return found or visit.not_found()


def _group_page(visit: Visit, found: GroupDetail, *, status: int = 200, refused: str | None = None) -> Response:
    evidence = found.evidence
    return visit.page(
        "traffic_group.html",
        status=status,
        refused=refused,
        row=found.row,
        points_most=found.points_most,
        sentence=reason_sentence(found.row.rule),
        left=time_left(found.row.released_at, visit.portal.now()),
        charts=charts_of(evidence) if evidence else [],
        totals=totals_of(evidence) if evidence else None,
        samples=evidence.samples if evidence else (),
        plot=(WIDTH, PLOT_HEIGHT, TOP),
        decided_before=found.decided_before,
        appeals=found.appeals,
        allowed=[(each, presence(each, found.row)) for each in found.allowed],
        may_look_up=visit.known_caller.may(Scope.EVENTS),
    )


async def _decide(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    name, outcome, reason = (text_of(form, field) for field in ("name", "outcome", "reason"))
    found = await _found(visit, name)
    if isinstance(found, Response):
        return found
    if outcome not in OUTCOMES:
        return _group_page(visit, found, status=422, refused="Choose what happens to the group.")
    if not 1 <= len(reason) <= REASON_LENGTH_MAX:
        refused = f"A reason of 1 to {REASON_LENGTH_MAX} characters is needed: it is stored with the decision."
        return _group_page(visit, found, status=422, refused=refused)
    try:
        await visit.ask(None, visit.portal.reviews.decide, name, outcome, visit.known_caller.subject, reason)
    except RefusedActionError as error:
        return _group_page(visit, found, status=409, refused=str(error))
    if visit.affected:
        return _group_page(visit, found, status=503)
    return redirect(f"{LIST}?{urlencode({'done': outcome})}")


async def _answer(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    appeal_id, text = text_of(form, "appeal_id"), text_of(form, "answer")
    if not 1 <= len(text) <= OBJECTION_LENGTH_MAX:
        refused = f"An answer has 1 to {OBJECTION_LENGTH_MAX} characters; this one has {len(text)}."
        return await _list_page(visit, status=422, refused=refused)
    try:
        await visit.ask(None, visit.portal.reviews.answer, appeal_id, text, visit.known_caller.subject)
    except RefusedActionError as error:
        return await _list_page(visit, status=409, refused=str(error))
    return await _list_page(visit, status=503) if visit.affected else redirect(f"{LIST}?done=answered")
