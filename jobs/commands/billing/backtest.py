"""`./viewledger billing backtest`: what other contracts, or another counting policy, would have paid."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from billing.errors import FileRefusedError
from billing.period_terms import terms_of
from billing.rating.backtest import compare
from billing.rating.rating import rate_period
from billing.terms.contracts import Contracts
from billing.terms.file_contracts import read_contracts
from billing.terms.file_policies import read_policy
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.policy import CountingPolicy
from jobs.commands.billing.backtest_tables import backtest_json, backtest_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import Actions, add_action, add_period, billing_connector, period_of, show
from jobs.wiring.settled_views import open_settled_views


def add_actions(actions: Actions) -> None:
    """Declare `backtest`."""
    backtest = add_action(actions, "backtest", backtest_period, "what other terms would have paid, payee by payee")
    add_period(backtest)
    backtest.add_argument("--contract", type=Path, metavar="YAML", help="contracts that are not in force")
    backtest.add_argument("--policy", type=Path, metavar="YAML", help="a counting policy that is not in force")


def backtest_period(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Rates a period by the terms in force and by the proposed ones, from the same published version."""
    if arguments.contract is None and arguments.policy is None:
        raise CommandError("nothing to compare with; give --contract, --policy, or both", ExitCode.BAD_INPUT)
    period = period_of(arguments)
    store = PostgresCatalogueStore(billing_connector(environ))
    contracts, policy = _read_files(arguments, store)
    terms = terms_of(period, None, store)
    attribution, contract_version = terms.attribution, terms.contract_version
    currency = attribution.contracts.currency
    if contracts is not None and contracts.currency != currency:
        raise CommandError(
            f"{arguments.contract} pays in {contracts.currency} and contract version {contract_version} in {currency}; "
            "amounts of two currencies cannot be compared",
            ExitCode.BAD_INPUT,
        )
    proposed = attribution if contracts is None else replace(attribution, contracts=contracts)
    with open_settled_views(environ) as views:
        found = compare(
            rate_period(views.pieces(attribution), attribution),
            rate_period(views.pieces(proposed, policy), proposed),
            currency=currency,
        )
        version = views.version.version
    headline = f"period {period}, batch version {version}, contract version {contract_version}"
    show(arguments, backtest_json(found), lambda: backtest_text(found, headline))
    return ExitCode.OK


def _read_files(
    arguments: argparse.Namespace, store: PostgresCatalogueStore
) -> tuple[Contracts | None, CountingPolicy | None]:
    """Read both files before anything is computed, so that the errors of both are named together."""
    problems: list[str] = []
    contracts = policy = None
    try:
        if arguments.contract is not None:
            contracts = read_contracts(arguments.contract, payees=store.newest_payees())
    except FileRefusedError as error:
        problems += error.problems
    try:
        policy = None if arguments.policy is None else read_policy(arguments.policy)
    except FileRefusedError as error:
        problems += error.problems
    if problems:
        raise FileRefusedError(problems)
    return contracts, policy
