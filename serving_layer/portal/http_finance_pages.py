"""The pages of finance: close the month, and what waits for a decision."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from starlette.responses import Response

from ingestion.contract.periods import Period
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.event_sentences import kind_text
from serving_layer.portal.finance_records import PeriodRow
from serving_layer.portal.http_visit import Portal, Visit, page_route

APPROVALS, WAITING = "/portal/operator/approvals", "/portal/finance/waiting"
CHECKS = {
    "settled": ("Settled to the end", "", "batch run"),
    "judged": ("Traffic judged", "", ""),
    "traffic_groups": ("Groups under review", f"{WAITING}/traffic-groups", "traffic decide"),
    "conflicts": ("Conflicts", f"{WAITING}/conflicts", "billing conflicts decide"),
    "late_events": ("Late events", f"{WAITING}/late-events", "billing late decide"),
    "reconciled": ("Everything reconciled", "", "reconcile"),
    "terms": ("Catalogue and rates", "", ""),
    "proposals": ("Imports for a second person", APPROVALS, "billing proposals approve"),
    "overlaps": ("Overlaps", "", ""),
    "suspense": ("Suspense", "", "billing catalogue import"),
    "bank_suspense": ("Suspense at the bank", "", "billing payouts movements --unknown"),
    "holds": ("Holds", APPROVALS, "billing holds decide"),
    "appeals": ("Appeals", APPROVALS, "billing appeals decide"),
}
"""Check → its title, the page on which one sees what waits, and the command that decides."""
STEPS = {
    "run": ("Run", "", "billing run"),
    "approve": ("Approve", APPROVALS, "billing statements approve"),
    "post": ("Post", "", "billing nightly"),
    "pay": ("Pay", "", "billing payouts create"),
    "reconcile": ("Reconcile with the bank", "", "billing payouts reconcile"),
}

STAGES = {
    "received": "Received",
    "accepted": "Accepted",
    "counted": "Counted once",
    "valid": "Valid views",
    "billable": "Billable views",
}
"""Stage of events → its text."""
TAKEN = {
    "rejected": "Rejected: they break the contract of events",
    "duplicate": "Sent more than once",
    "conflict": "Same id, other content",
    "late_review": "Too late",
    "invalid_traffic": "Invalid traffic",
    "not_billable": "Counted and not billable",
}
"""What a stage is without → its text."""
SUSPENSE = {
    "suspense:unattributed": "In suspense: earned by videos that nobody is known to own",
    "suspense:bank": "In suspense: booked by the bank and not explained",
}
"""Account of the ledger → its text."""


@dataclass(frozen=True)
class WaitingKind:
    """A kind of what waits, with its commands; `PERIOD` in them is the period of the page."""

    kind: str
    heading: str
    decide: str
    """Places are named: without one, the command decides on all of the period."""
    review: str
    """Lists them from the tables, beyond what a night lists."""


KINDS = {
    "late-events": WaitingKind(
        "late_event",
        "Late events",
        "billing late decide --period PERIOD --event PLACE --as accepted|rejected --reason WHY",
        "billing late list --period PERIOD",
    ),
    "conflicts": WaitingKind(
        "conflict",
        "Conflicts",
        "billing conflicts decide --period PERIOD [--event PLACE] --reason WHY",
        "billing conflicts list --period PERIOD",
    ),
    "traffic-groups": WaitingKind(
        "traffic_group",
        "Groups of traffic under review",
        "traffic decide --group NAME --release|--confirm --reason WHY",
        "traffic review",
    ),
}
"""By the word in the address."""


def finance_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; none is for callers bound to a payee."""
    read = partial(page_route, portal, needs=Scope.STATEMENTS, is_own=False)
    return [
        read("/portal/finance", _close),
        read("/portal/finance/month", _month),
        read("/portal/finance/waiting/{kind}", _waiting),
    ]


async def _close(visit: Visit) -> Response:
    period = _period(visit)
    if isinstance(period, Response):
        return period
    month = await visit.ask(None, visit.portal.finance.closing, period)
    if month is None:
        return visit.not_now("The books")
    lines = [*month.checks, *month.steps]
    return visit.page(
        "finance.html",
        month=month,
        titles=CHECKS | STEPS,
        blocked=sum(each.state == "blocks" for each in lines),
        waiting=sum(each.state == "waits" for each in lines),
        unknown=sum(each.state == "unknown" for each in lines),
        elsewhere=sum(row.waits > 0 for row in month.periods if row.period != month.period),
    )


async def _month(visit: Visit) -> Response:
    period = _period(visit)
    if isinstance(period, Response):
        return period
    month = await visit.ask(None, visit.portal.finance.funnel, period)
    if month is None:
        return visit.not_now("The books")
    closing = None if month.money else await visit.ask(None, visit.portal.finance.closing, month.period)
    return visit.page(
        "finance_month.html",
        month=month,
        billed_otherwise=billed_otherwise(month.period, closing.periods if closing else ()),
        stages=STAGES,
        taken=TAKEN,
        reasons=[(kind_text(outcome), views) for outcome, views in month.not_billable.items()],
        suspense=SUSPENSE,
        waiting=[(each.heading, month.waiting[each.kind], word) for word, each in KINDS.items()],
    )


async def _waiting(visit: Visit) -> Response:
    if (found := KINDS.get(visit.request.path_params["kind"])) is None:
        return visit.not_found()
    period = _period(visit)
    if isinstance(period, Response):
        return period
    page = await visit.ask(None, visit.portal.finance.waiting, found.kind, period)
    if page is None:
        return visit.not_now("The books")
    decide, review = (
        command.replace("PERIOD", str(period)) if period else command for command in (found.decide, found.review)
    )
    return visit.page(
        "waiting.html",
        page=page,
        found=found,
        decide=decide,
        review=review,
        period=period,
        sees_evidence=visit.known_caller.may(Scope.TRAFFIC),
    )


def billed_otherwise(period: Period, known: Iterable[PeriodRow]) -> list[Period]:
    """Return the billed periods that share days with another one."""
    billed = [row.period for row in known if row.period is not None and row.is_billed and row.period != period]
    return [each for each in billed if each.overlaps(period)]


def _period(visit: Visit) -> Period | Response | None:
    """Return the period in the address, None without one, or the page that says which forms there are."""
    text = visit.request.query_params.get("period", "")
    try:
        return Period.parse(text) if text else None
    except ValueError as error:
        return visit.problem(422, "No such period", f"{error}.")
