"""The page of a payee's earnings: estimate, last statement, balance, payouts, and why an amount differs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response

from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.money.statements import StatementSummary, is_shown
from serving_layer.portal.earnings_change import Cause, causes_of_change
from serving_layer.portal.earnings_records import NO_MONEY, BalanceRow, PayeeMoney, PayoutRow
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
    "payout_rejected": "Payouts that the bank did not do",
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
    def amount_micros(self) -> int:
        """Return how much more is payable now."""
        return self.now.payable_micros - self.before.payable_micros


def earnings_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the route; a payee sees their own money alone."""
    return [page_route(portal, "/portal/earnings", _earnings, needs=Scope.STATEMENTS, is_own=True)]


async def _earnings(visit: Visit) -> Response:
    payee_id, portal = visit.payee_id, visit.portal
    estimates = await visit.ask((), portal.earnings.estimates, payee_id)
    money = await visit.ask(NO_MONEY, portal.earnings.money, payee_id)
    rows = await visit.ask((), portal.money.statements, payee_id)
    shown = [row.summary for row in rows if is_shown(row.summary, visit.known_caller)]
    in_force = [each for each in shown if each.state not in GONE]
    return visit.page(
        "earnings.html",
        estimates=estimates,
        last=in_force[0] if in_force else None,
        money=money,
        balances=[_in_order(each) for each in money.balances],
        next_payout=next_payout(money),
        last_payout=next((each for each in money.payouts if each.state == "settled"), None),
        payouts=money.payouts[:PAYOUTS_SHOWN],
        change=await _change(visit, shown),
        corrections=await _corrections(visit, shown),
        cause_texts=CAUSES,
        part_texts=PARTS,
    )


def next_payout(money: PayeeMoney) -> PayoutRow | None:
    """Return the payment that is on its way and comes first."""
    on_their_way = [each for each in money.payouts if each.state == "instructed"]
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


async def _change(visit: Visit, shown: Sequence[StatementSummary]) -> PeriodChange | None:
    """Return the difference of the last two periods: as first billed by its causes, then what corrections added."""
    if (pair := compared(shown)) is None:
        return None
    before, now = pair
    first, by_id = now, {each.statement_id: each for each in shown}
    while first.supersedes in by_id:
        first = by_id[first.supersedes]
    old, new = await _whole(visit, before), await _whole(visit, first)
    if old is None or new is None:
        return None
    causes = causes_of_change(old.detail, new.detail)
    if corrected := now.earned_micros - first.earned_micros:
        causes.append(Cause("correction", corrected))
    return PeriodChange(before, first, now, tuple(causes))


async def _corrections(visit: Visit, shown: Sequence[StatementSummary]) -> list[Correction]:
    """Return the newest statements that replaced another one, with what had been paid before."""
    by_id = {each.statement_id: each for each in shown}
    found = [each for each in shown if each.state not in GONE and each.supersedes in by_id][:CORRECTIONS_SHOWN]
    corrections = []
    for now in found:
        before, was_paid = await _paid_before(visit, now, by_id)
        corrections.append(Correction(before, now, was_paid))
    return corrections


async def _paid_before(
    visit: Visit, now: StatementSummary, by_id: Mapping[str, StatementSummary]
) -> tuple[StatementSummary, bool]:
    """Return the newest statement before `now` in its period that a payout covered; without one the last before it."""
    replaced = by_id[str(now.supersedes)]
    each: StatementSummary | None = replaced
    while each is not None:
        whole = await _whole(visit, each)
        if whole is not None and any(step.state == "paid" for step in whole.steps):
            return each, True
        each = by_id.get(str(each.supersedes))
    return replaced, False


async def _whole(visit: Visit, statement: StatementSummary) -> WholeStatement | None:
    return await visit.ask(None, visit.portal.money.statement, statement.statement_id)
