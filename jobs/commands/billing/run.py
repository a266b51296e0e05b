"""`./viewledger billing run | restate`: rate a closed period, make statements, post those that need no approval."""

from collections.abc import Mapping
from datetime import UTC, datetime

from billing.books.postgres_books import PostgresBooks
from billing.period_billing import BilledPeriod, BillingOrder, Progress, bill_period
from billing.period_terms import Wanted
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.periods import Period
from jobs.commands.billing.figures import recorded_billing
from jobs.commands.billing.tables import billed_period_json, billed_period_text, restated_period_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    BillingSettings,
    billing_connector,
    progress,
    show,
)
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_settled_views


@billing_work
def run_period(environ: Mapping[str, str], *, period: Period, dry_run: bool, actor: str, as_json: bool) -> ExitCode:
    """Bill a period; a posted statement that would now differ is named and not changed (exit REFUSED)."""
    billed = bill(environ, period, actor=actor, dry_run=dry_run, report=progress(as_json=as_json))
    show(billed_period_json(billed), lambda: billed_period_text(billed), as_json=as_json)
    _refuse_what_is_blocked(billed)
    if left := [*billed.summary.changed, *billed.remarks.newer_terms]:
        more = billed.summary.changed_count - len(billed.summary.changed)
        raise CommandError(
            "\n  ".join(["left as it was posted:", *left, *([f"and {more} more"] if more else [])]), ExitCode.REFUSED
        )
    return ExitCode.OK


@billing_work
def restate_period(
    environ: Mapping[str, str],
    *,
    period: Period,
    preview: bool,
    cause: str,
    catalogue: int | None,
    contract: int | None,
    actor: str,
    as_json: bool,
) -> ExitCode:
    """Make the statements of a restatement; each waits for `billing statements approve`."""
    wanted = Wanted(catalogue, contract)
    report = progress(as_json=as_json)
    billed = bill(environ, period, actor=actor, dry_run=preview, cause=cause, wanted=wanted, report=report)
    show(billed_period_json(billed), lambda: restated_period_text(billed), as_json=as_json)
    _refuse_what_is_blocked(billed)
    return ExitCode.OK


def _refuse_what_is_blocked(billed: BilledPeriod) -> None:
    """End a dry run with the exit code of the real run."""
    if billed.dry_run and billed.failures:
        raise CommandError(
            "\n  ".join(["shown, and cannot be posted now:", *map(str, billed.failures)]), ExitCode.REFUSED
        )


def bill(
    environ: Mapping[str, str],
    period: Period,
    *,
    actor: str,
    dry_run: bool,
    cause: str = "",
    wanted: Wanted | None = None,
    report: Progress = lambda _: None,
) -> BilledPeriod:
    """Bill or restate a period by the flags and settings."""
    known = BillingSettings.from_environ(environ)
    order = BillingOrder(
        period=period,
        allowed_lateness=known.allowed_lateness,
        calculated_at=datetime.now(UTC),
        actor=actor,
        approval_limits_micros=known.approval_limits_micros,
        bounds=known.bounds,
        dry_run=dry_run,
        restates_because=cause,
        wanted=wanted or Wanted(),
    )
    connect = billing_connector(environ)
    catalogues, books = PostgresCatalogueStore(connect), PostgresBooks(connect)
    report("opening the batch tables")
    with recorded_billing(environ) as recorded, open_settled_views(environ) as views:
        billed = bill_period(order, views=views, catalogues=catalogues, books=books, progress=report)
        recorded.append(billed)
    return billed
