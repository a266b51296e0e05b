"""Statements as the portal shows them, made from billing's own records. Pure."""

from collections.abc import Sequence

from billing.statements import PostedStatement, Statement
from billing.states import Transition as Step
from billing.view_chain import REJECTED, view_chain
from serving_layer.portal.records import ChainStep, StatementLine, StatementPage, StatementRow, Transition

_LABELS = {
    "received": "Events received",
    "duplicate": "Sent more than once",
    "conflict": "Same id with other content, in review",
    "late_review": "Too late, in review",
    "counted": "Views",
    "not_eligible": "Not eligible for revenue",
    "below_minimum": "Shorter than the minimum",
    "own_view": "Your own views",
    "over_cap": "Over the cap per viewer",
    "billable": "Billable views",
}
"""Outcome → what a payee reads; an outcome that is not here stands as it is."""


def statement_row(statement: Statement, state: str, name: str, step: Step | None) -> StatementRow:
    """Return a statement for a list; `step` is its newest."""
    return StatementRow(
        statement_id=statement.statement_id,
        payee_id=statement.payee_id,
        payee_name=name,
        period=str(statement.period),
        restatement=statement.restatement_number,
        state=state,
        currency=statement.currency,
        payable_micros=statement.payable_micros,
        billable_views=statement.billable_views,
        reason=step.reason if step else "",
        moved_at=step.moved_at if step else None,
    )


def statement_page(posted: PostedStatement, name: str, steps: Sequence[Step]) -> StatementPage:
    """Return the whole statement: its chain, its lines, its steps and the versions it rests on."""
    statement = posted.statement
    return StatementPage(
        row=statement_row(statement, posted.state, name, steps[-1] if steps else None),
        chain=_chain(posted),
        lines=tuple(
            StatementLine(
                video_id=settled.line.video_id,
                what=settled.line.kind,
                heading=settled.line.country,
                rates_from_on=settled.line.effective_from_on,
                tier=settled.line.tier_index + 1,
                share_ppm=settled.line.share_ppm,
                quantity=settled.line.quantity,
                rate_per_thousand_micros=settled.line.rate_per_thousand_micros,
                amount_micros=settled.amount_micros,
                evidence_root=settled.line.evidence_root,
            )
            for settled in posted.lines
        ),
        transitions=tuple(Transition(step.to_state, step.actor, step.reason, step.moved_at) for step in steps),
        versions={
            "batch": posted.batch_version,
            "catalogue": posted.catalogue_version,
            "contract": posted.contract_version,
        },
        carried_nanomicros=(statement.carried_nanomicros_before, statement.carried_nanomicros_after),
    )


def _chain(posted: PostedStatement) -> tuple[ChainStep, ...]:
    statement = posted.statement
    views = [
        ChainStep(_label(link.name), abs(link.events), "views", 0 if link.is_sum else -1)
        for link in view_chain(statement.outcomes)
    ]
    money = [
        ChainStep("Sum of the lines", sum(line.amount_micros for line in posted.lines), "micros", 0),
        ChainStep("Over the cap of the contract", statement.over_cap_micros, "micros", -1),
        ChainStep(f"Tax withheld ({statement.tax_country})", statement.tax_micros, "micros", -1),
        ChainStep("Payable", statement.payable_micros, "micros", 0),
    ]
    return tuple(views + [step for step in money if step.amount or step.sign == 0])


def _label(outcome: str) -> str:
    if outcome.startswith(REJECTED):
        return f"Rejected: {outcome.removeprefix(REJECTED).replace('_', ' ')}"
    return _LABELS.get(outcome, outcome)
