"""`./viewledger billing run | restate`: rates a closed period, makes statements, posts what needs nobody's approval."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime

from billing.books.postgres_books import PostgresBooks
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.rating.preconditions import Waivable
from billing.tables import billed_period_json, billed_period_text, restated_period_text
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.periods import Period
from ingestion.contract.printable import is_name
from jobs.billing_figures import recorded_billing
from jobs.billing_settings import (
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
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settled_views import open_settled_views


def add_actions(actions: Actions) -> None:
    """Declares `run` and `restate`."""
    billing = add_action(actions, "run", run_period, "rate a closed period and post what is owed, once")
    billing.add_argument("--dry-run", action="store_true", help="calculate everything and store nothing")
    restating = add_action(
        actions, "restate", restate_period, "calculate a billed period anew from the current version"
    )
    restating.add_argument("--preview", dest="dry_run", action="store_true", help="show the differences, store nothing")
    restating.add_argument("--cause", required=True, metavar="TEXT", help="why; payees are told")
    for action in (billing, restating):
        add_period(action)
        action.add_argument(
            "--waive", action="append", default=[], choices=[kind.value for kind in Waivable], help="may be repeated"
        )
        add_actor(action, "who runs it, and answers for what is waived")


def run_period(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Bills a period; what is posted already and would now be another is named and left as it is (exit REFUSED)."""
    if arguments.waive and arguments.actor is None:
        raise CommandError("--waive needs --actor NAME: who answers for it", ExitCode.BAD_INPUT)
    billed = bill(period_of(arguments), arguments, environ)
    show(arguments, billed_period_json(billed), lambda: billed_period_text(billed))
    if summary := billed.summary.changed:
        more = billed.summary.changed_count - len(summary)
        raise CommandError(
            "\n  ".join(["left as it was posted:", *summary, *([f"and {more} more"] if more else [])]), ExitCode.REFUSED
        )
    return ExitCode.OK


def restate_period(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Makes the statements of a restatement; each waits for `billing approve`."""
    cause = arguments.cause.strip()
    if not is_name(cause, most=500):
        raise CommandError("--cause must be 1 to 500 printable characters", ExitCode.BAD_INPUT)
    billed = bill(period_of(arguments), arguments, environ, cause=cause)
    show(arguments, billed_period_json(billed), lambda: restated_period_text(billed))
    return ExitCode.OK


def bill(period: Period, arguments: argparse.Namespace, environ: Mapping[str, str], *, cause: str = "") -> BilledPeriod:
    """Bill or restate a period as the flags and settings say."""
    known = BillingSettings.from_environment(environ)
    actor = actor_of(arguments)
    order = BillingOrder(
        period=period,
        waived=dict.fromkeys(sorted(set(arguments.waive)), actor),
        allowed_lateness=known.allowed_lateness,
        calculated_at=datetime.now(UTC),
        actor=actor,
        approval_limits_micros=known.approval_limits_micros,
        bounds=known.bounds,
        dry_run=arguments.dry_run,
        restates_because=cause,
    )
    connect = billing_connector(environ)
    catalogues, books = PostgresCatalogueStore(connect), PostgresBooks(connect)
    with recorded_billing(environ) as recorded, open_settled_views(environ) as views:
        billed = bill_period(order, views=views, catalogues=catalogues, books=books)
        recorded.append(billed)
    return billed
