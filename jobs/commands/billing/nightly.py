"""`./viewledger billing nightly`: bill closed months, estimate open ones, expire holds, post approved statements, and
name what waits for too long or differs at the bank."""

from collections.abc import Mapping
from datetime import UTC, datetime

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_estimates import PostgresEstimates
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_reviewed_groups import PostgresReviewedGroups
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_waiting import PostgresWaiting
from billing.nightly import work_through_the_night
from billing.payouts.postgres_bank_differences import bank_differences
from billing.payouts.postgres_listed_batches import listed_batches
from billing.period_billing import BillingOrder
from billing.reviewed_groups import note_groups
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.waiting import note_waiting_work
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted
from jobs.commands.billing.figures import record_estimates_and_payouts, record_night, record_waiting
from jobs.commands.billing.tables import aligned, billed_period_json
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    BillingSettings,
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_settled_views

OVERDUE_SHOWN = 50


@billing_work
def run_night(environ: Mapping[str, str], *, actor: str, as_json: bool) -> ExitCode:
    """Do the work of one night; exit REFUSED if a closed month, a statement or the bank needs a person."""
    known, now = BillingSettings.from_environ(environ), datetime.now(UTC)

    def order_of(period: Period) -> BillingOrder:
        return BillingOrder(
            period=period,
            allowed_lateness=known.allowed_lateness,
            calculated_at=now,
            actor=actor,
            approval_limits_micros=known.approval_limits_micros,
            bounds=known.bounds,
        )

    connect = billing_connector(environ)
    expired = PostgresHolds(connect).expire(now)
    overdue = PostgresStatements(connect).held_since(now - known.held_time_max)
    at_the_bank = bank_differences(connect)
    # first, so that both are known even when the months cannot be billed
    record_waiting(environ, overdue=len(overdue), bank_differences=len(at_the_bank))
    with open_settled_views(environ) as views:
        night = work_through_the_night(
            now.date(),
            order_of,
            views=views,
            catalogues=PostgresCatalogueStore(connect),
            books=PostgresBooks(connect),
            estimates=PostgresEstimates(connect),
        )
        groups = views.reviewed_groups()
        waiting = note_waiting_work(views, groups, PostgresBooks(connect), PostgresWaiting(connect), now)
        note_groups(views, groups, PostgresCatalogueStore(connect), PostgresReviewedGroups(connect), now)
    record_night(environ, night)
    record_estimates_and_payouts(environ, night, listed_batches(connect))
    document = {
        "expired_hold_count": expired,
        "finalised_count": night.finalised_count,
        "conflicts": list(night.conflicts),
        "waiting": dict(waiting),
        "overdue": [
            {
                "statement_id": each.statement_id,
                "payee_id": each.payee_id,
                "period": str(each.period),
                "held_at": each.held_at.isoformat(),
                "reason": each.reason,
            }
            for each in overdue
        ],
        "bank_differences": at_the_bank,
        "months": [
            {
                "period": str(each.period),
                "outcome": each.outcome,
                "detail": each.detail,
                "run": billed_period_json(each.billed) if each.billed else None,
            }
            for each in night.months
        ],
    }
    rows = [(str(each.period), each.outcome, each.detail) for each in night.months]
    last = [f"{counted(expired, 'hold')} expired, {counted(night.finalised_count, 'approved statement')} posted"]
    last += [f"{count} {kind.replace('_', ' ')}s wait for a decision" for kind, count in waiting.items() if count]
    last += [f"approved and not posted: {conflict}" for conflict in night.conflicts]
    last += [f"held too long: {each.overdue_text(now)}" for each in overdue[:OVERDUE_SHOWN]]
    if len(overdue) > OVERDUE_SHOWN:
        last.append(
            f"held too long: {len(overdue) - OVERDUE_SHOWN} more; `billing statements list --state held` lists them"
        )
    last += [f"the bank differs: {each}" for each in at_the_bank[:OVERDUE_SHOWN]]
    show(document, lambda: "\n".join([aligned(("period", "outcome", ""), rows, left=3), "", *last]), as_json=as_json)
    needs_somebody = (
        overdue or at_the_bank or night.conflicts or any(each.outcome == "refused" for each in night.months)
    )
    return ExitCode.REFUSED if needs_somebody else ExitCode.OK
