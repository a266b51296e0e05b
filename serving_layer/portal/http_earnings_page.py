"""The page of a payee's earnings: estimate, last statement, balance, payouts, and why an amount differs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from starlette.responses import Response

from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.money.statements import StatementSummary, is_shown
from serving_layer.money.todays_estimate import CHECKED_DAYS_LEAST, LIVE_VIDEOS_MAX
from serving_layer.portal.earnings_change import Cause, causes_of_change
from serving_layer.portal.earnings_records import BalanceRow, PayoutRow
from serving_layer.portal.http_visit import Portal, Visit, page_route
from serving_layer.portal.records import WholeStatement

GONE = frozenset({"superseded", "voided"})
POSTED = frozenset({"finalised", "paid"})
CORRECTIONS_SHOWN = 5
PAYOUTS_SHOWN = 12
CAUSES = {
    "received": "Events received",
    "not_counted": "Not counted: sent twice, refused or too late",
    "invalid": "Invalid traffic",
    "not_billable": "Counted and not billable",
    "billable": "Billable views",
    "mix": "Mix of countries, tiers and shares",
    "rate": "Rates",
    "ads": "Advertisements",
    "contract_cap": "Over the cap of the contract",
    "remainder": "Remainders below a millionth",
    "correction": "Corrections since",
}
_OF_LINES = ("mix", "rate", "ads", "remainder")
PARTS = {
    "statement": "Statements",
    "reversal": "Statements that were replaced",
    "payout": "Payouts",
    "payout_rejected": "Payouts that the bank did not carry out",
    "payout_returned": "Payouts that came back",
    "payout_voided": "Payouts that were taken back",
    "hold_voided": "Amounts on hold that were declared void",
}
"""Kind of transaction → its text."""


@dataclass(frozen=True)
class PeriodChange:
    """Two statements, one after the other, and why the later one earned more or less."""

    before: StatementSummary
    first: StatementSummary
    """The later one as it was first billed: what the causes but corrections explain."""
    now: StatementSummary
    causes: tuple[Cause, ...]

    @property
    def links(self) -> dict[str, str]:
        """Return cause → where its numbers come from."""
        first, now = (f"/portal/statements/{each.statement_id}" for each in (self.first, self.now))
        others = {"invalid": "/portal/invalid", "correction": now}
        return {name: f"{first}#{'lines' if name in _OF_LINES else 'chain'}" for name in CAUSES} | others


@dataclass(frozen=True)
class Correction:
    """A statement that was replaced, and the one in its place."""

    before: StatementSummary
    now: StatementSummary
    was_paid: bool
    """Whether a payout had covered the statement before."""

    @property
    def is_settled(self) -> bool:
        """Return whether a payout has covered the one in its place, too."""
        return self.now.state == "paid"

    @property
    def amount_micros(self) -> int:
        """Return how much more is payable now."""
        return self.now.payable_micros - self.before.payable_micros


Corrected = tuple[StatementSummary, Sequence[tuple[StatementSummary, bool]]]
"""A statement in the ledger, and those that were there before it for its days, newest first: with whether a payout
covered each."""


def earnings_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the route; a payee sees their own money alone."""
    return [page_route(portal, "/portal/earnings", _earnings, needs=Scope.STATEMENTS, is_own=True)]


async def _earnings(visit: Visit) -> Response:
    payee_id, portal = visit.payee_id, visit.portal
    estimates = await visit.ask(None, portal.earnings.estimates, payee_id)
    today = await visit.attempt(None, portal.counts.today(payee_id))
    money = await visit.ask(None, portal.earnings.money, payee_id)
    rows = await visit.ask(None, portal.money.statements, payee_id)
    shown = [row.summary for row in rows or () if is_shown(row.summary, visit.known_caller)]
    corrected = await _corrected(visit, shown)
    return visit.page(
        "earnings.html",
        estimates=estimates,
        today=today,
        checked_days_least=CHECKED_DAYS_LEAST,
        live_videos_max=LIVE_VIDEOS_MAX,
        knows_statements=rows is not None,
        last=last_statement(shown),
        money=money,
        balances=[_in_order(each) for each in money.balances] if money else [],
        next_payout=next_payout(money.payouts) if money else None,
        last_payout=next((each for each in money.payouts if each.state == "settled"), None) if money else None,
        payouts=money.payouts[:PAYOUTS_SHOWN] if money else (),
        change=await _change(visit, shown, corrected),
        corrections=[correction_of(*each) for each in corrected[:CORRECTIONS_SHOWN]],
        year=portal.now().year,
        cause_texts=CAUSES,
        part_texts=PARTS,
    )


def last_statement(shown: Iterable[StatementSummary]) -> StatementSummary | None:
    """Return the statement of the newest period: the one in the ledger, else the newest one that is not gone."""
    in_force = (each for each in shown if each.state not in GONE)
    return max(
        in_force, key=lambda each: (each.period_end_on, each.state in POSTED, each.restatement_number), default=None
    )


def next_payout(payouts: Iterable[PayoutRow]) -> PayoutRow | None:
    """Return the payment that is on its way and comes first."""
    on_their_way = [each for each in payouts if each.state == "instructed"]
    return min(on_their_way, key=lambda each: each.execution_on, default=None)


def compared(shown: Iterable[StatementSummary]) -> tuple[StatementSummary, StatementSummary] | None:
    """Return the newest statement whose money is in the ledger, and that of the period before it in its currency."""
    posted = [each for each in shown if each.state in POSTED]
    if not posted:
        return None
    now = posted[0]
    before = (each for each in posted if each.period_end_on <= now.period_start_on and each.currency == now.currency)
    found = max(before, key=lambda each: each.period_end_on, default=None)
    return None if found is None else (found, now)


def _in_order(balance: BalanceRow) -> BalanceRow:
    """Return the balance with its parts in the order of their texts."""
    order = {kind: place for place, kind in enumerate(PARTS)}
    return replace(balance, parts=tuple(sorted(balance.parts, key=lambda part: order.get(part[0], len(order)))))


async def _change(
    visit: Visit, shown: Sequence[StatementSummary], corrected: Sequence[Corrected]
) -> PeriodChange | None:
    """Return the difference of the last two periods: as first billed by its causes, then what corrections added."""
    if (pair := compared(shown)) is None:
        return None
    before, now = pair
    first = next((replaced[-1][0] for each, replaced in corrected if each == now), now)
    old, new = await _whole(visit, before), await _whole(visit, first)
    if old is None or new is None:
        return None
    causes = causes_of_change(old.detail, new.detail)
    amount, views = now.earned_micros - first.earned_micros, now.billable_views - first.billable_views
    if amount or views:
        causes.append(Cause("correction", amount, views or None))
    return PeriodChange(before, first, now, tuple(causes))


async def _corrected(visit: Visit, shown: Sequence[StatementSummary]) -> list[Corrected]:
    """Return each statement in the ledger, in the order of the list, that took the place of others there."""
    of_days: defaultdict[tuple[date, date], list[StatementSummary]] = defaultdict(list)
    for each in sorted(shown, key=lambda each: -each.restatement_number):
        of_days[each.period_start_on, each.period_end_on].append(each)
    numbered = [each for each in shown if each.state in POSTED and each.restatement_number]
    others = {
        now.statement_id: [
            each
            for each in of_days[now.period_start_on, now.period_end_on]
            if each.restatement_number < now.restatement_number
        ]
        for now in numbered
    }
    wanted = [each.statement_id for earlier in others.values() for each in earlier]
    steps = await visit.ask({}, visit.portal.money.steps, wanted) if wanted else {}
    states = {statement_id: {step.state for step in of_one} for statement_id, of_one in steps.items()}
    found: list[Corrected] = []
    for now in numbered:
        earlier = ((each, states.get(each.statement_id, set())) for each in others[now.statement_id])
        if replaced := [(each, "paid" in entered) for each, entered in earlier if "finalised" in entered]:
            found.append((now, replaced))
    return found


def correction_of(now: StatementSummary, replaced: Sequence[tuple[StatementSummary, bool]]) -> Correction:
    """Return the correction of the newest statement that a payout covered; without one, of the last before `now`."""
    covered = next((each for each, was_paid in replaced if was_paid), None)
    return Correction(covered or replaced[0][0], now, was_paid=covered is not None)


async def _whole(visit: Visit, statement: StatementSummary) -> WholeStatement | None:
    return await visit.ask(None, visit.portal.money.statement, statement.statement_id)
