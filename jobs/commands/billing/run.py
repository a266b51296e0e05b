"""`./viewledger billing run | restate`: rates a closed period, makes statements, posts what needs nobody's approval."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime

from billing.books.postgres_books import PostgresBooks
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.period_terms import Wanted
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.periods import Period
from ingestion.contract.printable import is_name
from jobs.commands.billing.figures import recorded_billing
from jobs.commands.billing.tables import billed_period_json, billed_period_text, restated_period_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    Actions,
    BillingSettings,
    actor_of,
    add_action,
    add_actor,
    add_period,
    billing_connector,
    period_of,
    show,
)
from jobs.wiring.settled_views import open_settled_views


def add_actions(actions: Actions) -> None:
    """Declare `run` and `restate`."""
    billing = add_action(actions, "run", run_period, "rate a closed period and post what is owed, once")
    billing.add_argument("--dry-run", action="store_true", help="calculate everything and store nothing")
    restating = add_action(actions, "restate", restate_period, "recalculate a billed period from the current version")
    restating.add_argument("--preview", dest="dry_run", action="store_true", help="show the differences, store nothing")
    restating.add_argument("--cause", required=True, metavar="TEXT", help="the cause; payees see it")
    for what in ("catalogue", "contract"):
        text = f"rate by this {what} version (default: the one that the period's statements rest on)"
        restating.add_argument(f"--{what}", type=int, metavar="N", help=text)
    for action in (billing, restating):
        add_period(action)
        action.add_argument("--waive", action="append", help=argparse.SUPPRESS)  # of scripts from before
        add_actor(action, "who runs it")


def run_period(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Bills a period; what is posted already and would now be another is named and left as it is (exit REFUSED)."""
    billed = bill(period_of(arguments), arguments, environ)
    show(arguments, billed_period_json(billed), lambda: billed_period_text(billed))
    _refuse_what_is_blocked(billed)
    if left := [*billed.summary.changed, *billed.remarks.newer_terms]:
        more = billed.summary.changed_count - len(billed.summary.changed)
        raise CommandError(
            "\n  ".join(["left as it was posted:", *left, *([f"and {more} more"] if more else [])]), ExitCode.REFUSED
        )
    return ExitCode.OK


def restate_period(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Make the statements of a restatement; each waits for `billing approve`."""
    cause = arguments.cause.strip()
    if not is_name(cause, most=500):
        raise CommandError("--cause must be 1 to 500 printable characters", ExitCode.BAD_INPUT)
    wanted = Wanted(arguments.catalogue, arguments.contract)
    billed = bill(period_of(arguments), arguments, environ, cause=cause, wanted=wanted)
    show(arguments, billed_period_json(billed), lambda: restated_period_text(billed))
    _refuse_what_is_blocked(billed)
    return ExitCode.OK


def _refuse_what_is_blocked(billed: BilledPeriod) -> None:
    """End a dry run with the code that the run itself would end with."""
    if billed.dry_run and billed.failures:
        raise CommandError("\n  ".join(["shown, and cannot be posted now:", *billed.failures]), ExitCode.REFUSED)


def bill(
    period: Period,
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    *,
    cause: str = "",
    wanted: Wanted | None = None,
) -> BilledPeriod:
    """Bill or restate a period as the flags and settings say."""
    if arguments.waive:
        raise CommandError(
            f"--waive {arguments.waive[0]}: there is nothing to waive, no event keeps a period from being billed; "
            "leave the flag out",
            ExitCode.BAD_INPUT,
        )
    known = BillingSettings.from_environ(environ)
    actor = actor_of(arguments)
    order = BillingOrder(
        period=period,
        allowed_lateness=known.allowed_lateness,
        calculated_at=datetime.now(UTC),
        actor=actor,
        approval_limits_micros=known.approval_limits_micros,
        bounds=known.bounds,
        dry_run=arguments.dry_run,
        restates_because=cause,
        wanted=wanted or Wanted(),
    )
    connect = billing_connector(environ)
    catalogues, books = PostgresCatalogueStore(connect), PostgresBooks(connect)
    with recorded_billing(environ) as recorded, open_settled_views(environ) as views:
        billed = bill_period(order, views=views, catalogues=catalogues, books=books)
        recorded.append(billed)
    return billed
