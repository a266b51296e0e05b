"""`./viewledger billing`: import the catalogue and rates, bill a period, show statements and totals."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from billing.catalogue import Catalogue
from billing.errors import (
    EvidenceMismatchError,
    FileRefusedError,
    LedgerUnavailableError,
    PostingConflictError,
    PreconditionsError,
    SchemaMissingError,
)
from billing.file_catalogue import read_catalogue
from billing.file_rate_cards import read_rate_contract
from billing.period_billing import BillingOrder, bill_period
from billing.postgres_catalogue import PostgresCatalogueStore
from billing.postgres_ledger import PostgresLedger
from billing.postgres_session import connector
from billing.preconditions import Waivable
from billing.rate_cards import RateContract
from billing.statement_tables import statement_json, statement_text
from billing.tables import (
    billed_period_json,
    billed_period_text,
    totals_json,
    totals_text,
)
from ingestion.contract.periods import Period
from ingestion.pseudonym import pseudonym_key, pseudonym_of
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settled_views import open_settled_views

PROBLEMS_SHOWN = 200


@dataclass(frozen=True)
class BillingSettings:
    """What billing needs to know of its surroundings."""

    postgres_url: str
    allowed_lateness: timedelta
    """How long after a period's end its events may still arrive before it can be billed."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "BillingSettings":
        """Reads VIEWLEDGER_POSTGRES_URL and VIEWLEDGER_ALLOWED_LATENESS_HOURS (default 24, at most 35 days)."""
        name = "VIEWLEDGER_ALLOWED_LATENESS_HOURS"
        return cls(
            postgres_url=settings.PostgresConnection.from_environ(environ).url,
            allowed_lateness=timedelta(hours=settings.integer(environ, name, default=24, least=0, most=840)),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    imports = actions.add_parser("import", help="import payees and videos, rates, or all three")
    imports.add_argument("--payees", type=Path, metavar="CSV", help="payee_id,name,user_id")
    imports.add_argument("--videos", type=Path, metavar="CSV", help="video_id,payee_id,length_seconds")
    imports.add_argument("--rates", type=Path, metavar="YAML", help="currency and rate cards")
    run_action = actions.add_parser("run", help="rate a closed period and post what is owed, once")
    _add_period(run_action)
    run_action.add_argument("--dry-run", action="store_true", help="calculate everything and post nothing")
    run_action.add_argument(
        "--waive", action="append", default=[], choices=[kind.value for kind in Waivable], help="may be repeated"
    )
    run_action.add_argument("--actor", metavar="NAME", help="who waives; stored with the run")
    statement = actions.add_parser("statement", help="one payee's bill, line by line")
    statement.add_argument("--payee", required=True, metavar="ID")
    _add_period(statement)
    show = actions.add_parser("show", help="all that was ever posted, and whether it adds up")
    for action in (imports, run_action, statement, show):
        action.add_argument("--json", action="store_true", help="print one JSON document instead of a table")


def _add_period(parser: argparse.ArgumentParser) -> None:
    text = "a month (2026-10) or a half-open range of days (2026-11-18/2026-11-21), UTC"
    parser.add_argument("--period", required=True, metavar="PERIOD", help=text)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Runs one action; every expected failure becomes a CommandError with its exit code."""
    actions = {"import": _import, "run": _run, "statement": _statement, "show": _show}
    try:
        return actions[arguments.action](arguments, settings.environment())
    except FileRefusedError as error:
        raise CommandError(_listed("nothing was imported", error.problems), ExitCode.BAD_INPUT) from error
    except PreconditionsError as error:
        raise CommandError(
            _listed("nothing was posted: the period cannot be billed now", error.failures), ExitCode.REFUSED
        ) from error
    except PostingConflictError as error:
        raise CommandError(_listed("nothing was posted", error.conflicts), ExitCode.REFUSED) from error
    except EvidenceMismatchError as error:
        raise CommandError(
            f"nothing was posted: the batch version contradicts itself: {error}; run `./viewledger rebuild batch`",
            ExitCode.DIFFERENCE,
        ) from error
    except SchemaMissingError as error:
        raise CommandError(f"{error}; run `./viewledger migrate`", ExitCode.UNAVAILABLE) from error
    except LedgerUnavailableError as error:
        raise CommandError(
            f"{error}; check VIEWLEDGER_POSTGRES_URL and run the command again", ExitCode.UNAVAILABLE
        ) from error


def _import(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    if (arguments.payees is None) != (arguments.videos is None):
        raise CommandError("--payees and --videos belong together; give both", ExitCode.BAD_INPUT)
    if arguments.payees is None and arguments.rates is None:
        raise CommandError("nothing to import; give --payees and --videos, --rates, or all three", ExitCode.BAD_INPUT)
    store = PostgresCatalogueStore(connector(BillingSettings.from_environment(environ).postgres_url))
    catalogue, contract = _read_files(arguments, environ)
    document: dict[str, Any] = {}
    if catalogue is not None:
        version, is_new = store.import_catalogue(catalogue, f"{arguments.payees.name}, {arguments.videos.name}")
        counts = {"payee_count": len(catalogue.payees), "video_count": len(catalogue.videos)}
        document["catalogue"] = {"version": version, "new": is_new, **counts}
    if contract is not None:
        version, is_new = store.import_contract(contract)
        document["rates"] = {"version": version, "new": is_new, "card_count": len(contract.cards)}
    _print(arguments, document, lambda: "\n".join(_import_line(*item) for item in document.items()))
    return ExitCode.OK


def _read_files(
    arguments: argparse.Namespace, environ: Mapping[str, str]
) -> tuple[Catalogue | None, RateContract | None]:
    """Read all files before anything is stored, so that the errors of all are named together."""
    problems: list[str] = []
    catalogue = contract = None
    if arguments.payees is not None:
        try:
            catalogue = read_catalogue(arguments.payees, arguments.videos, _pseudonymiser(environ))
        except FileRefusedError as error:
            problems += error.problems
    if arguments.rates is not None:
        try:
            contract = read_rate_contract(arguments.rates)
        except FileRefusedError as error:
            problems += error.problems
    if problems:
        raise FileRefusedError(problems)
    return catalogue, contract


def _pseudonymiser(environ: Mapping[str, str]) -> Callable[[str], str]:
    try:
        key = pseudonym_key(settings.required(environ, "VIEWLEDGER_PSEUDONYM_KEY"))
    except ValueError as error:
        raise CommandError(f"VIEWLEDGER_PSEUDONYM_KEY: {error}", ExitCode.BAD_INPUT) from error
    return lambda user_id: pseudonym_of(user_id, key)


def _import_line(what: str, result: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count} {name.removesuffix('_count')}s" for name, count in result.items() if "count" in name)
    return f"{what} version {result['version']}: {counts}, {'imported' if result['new'] else 'no change'}"


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    period = _period(arguments.period)
    actor = (arguments.actor or "").strip()
    if arguments.waive and not (actor.isprintable() and 1 <= len(actor) <= 100):
        raise CommandError("--waive needs --actor NAME: who answers for it (1 to 100 characters)", ExitCode.BAD_INPUT)
    billing_settings = BillingSettings.from_environment(environ)
    order = BillingOrder(
        period=period,
        waived=dict.fromkeys(sorted(set(arguments.waive)), actor),
        allowed_lateness=billing_settings.allowed_lateness,
        calculated_at=datetime.now(UTC),
        dry_run=arguments.dry_run,
    )
    connect = connector(billing_settings.postgres_url)
    catalogues, ledger = PostgresCatalogueStore(connect), PostgresLedger(connect)
    with open_settled_views(environ) as views:
        billed = bill_period(order, views=views, catalogues=catalogues, ledger=ledger)
    _print(arguments, billed_period_json(billed), lambda: billed_period_text(billed))
    return ExitCode.OK


def _statement(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    period = _period(arguments.period)
    connect = connector(BillingSettings.from_environment(environ).postgres_url)
    statement = PostgresLedger(connect).statement(arguments.payee, period)
    if statement is None:
        raise CommandError(
            f"nothing was posted for payee {arguments.payee!r} and period {period}; `billing run` posts a period",
            ExitCode.REFUSED,
        )
    name = PostgresCatalogueStore(connect).payee_name(arguments.payee) or ""
    _print(arguments, statement_json(statement), lambda: statement_text(statement, name))
    return ExitCode.OK


def _show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    totals = PostgresLedger(connector(BillingSettings.from_environment(environ).postgres_url)).totals()
    _print(arguments, totals_json(totals), lambda: totals_text(totals))
    return ExitCode.DIFFERENCE if any(each.difference_nanomicros for each in totals) else ExitCode.OK


def _period(text: str) -> Period:
    try:
        return Period.parse(text)
    except ValueError as error:
        raise CommandError(f"--period: {error}", ExitCode.BAD_INPUT) from error


def _print(arguments: argparse.Namespace, document: Mapping[str, Any], text: Callable[[], str]) -> None:
    print(json.dumps(document) if arguments.json else text())


def _listed(head: str, problems: Sequence[str]) -> str:
    more = [f"and {len(problems) - PROBLEMS_SHOWN} more"] if len(problems) > PROBLEMS_SHOWN else []
    return "\n  ".join([f"{head}:", *problems[:PROBLEMS_SHOWN], *more])
