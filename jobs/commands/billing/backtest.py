"""`./viewledger billing backtest`: what other contracts, or another counting policy, would have paid."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from billing.period_terms import terms_of
from billing.rating.backtest import compare
from billing.rating.rating import LeafCount, rate_period
from billing.terms.contracts import Contracts
from billing.terms.file_contracts import read_contracts
from billing.terms.file_policies import read_policy
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.requests import FileRefusedError
from jobs.commands.billing.backtest_tables import backtest_json, backtest_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_settled_views


@billing_work
def backtest_period(
    environ: Mapping[str, str], *, period: Period, contract: Path | None, policy: Path | None, as_json: bool
) -> ExitCode:
    """Rate a period by the terms in force and by the proposed ones, from the same published version."""
    if contract is None and policy is None:
        raise CommandError("nothing to compare with; give --contract, --policy, or both", ExitCode.BAD_INPUT)
    period = period
    store = PostgresCatalogueStore(billing_connector(environ))
    policies = PostgresPolicies(billing_connector(environ)).counting()
    contracts, counting = _read_files(contract, policy, store=store, policies=policies)
    terms = terms_of(period, None, store)
    attribution, contract_version = terms.attribution, terms.contract_version
    currency = attribution.contracts.currency
    if contracts is not None and contracts.currency != currency:
        raise CommandError(
            f"{contract} pays in {contracts.currency} and contract version {contract_version} in {currency}; "
            "amounts of two currencies cannot be compared",
            ExitCode.BAD_INPUT,
        )
    proposed = attribution if contracts is None else replace(attribution, contracts=contracts)
    with open_settled_views(environ) as views:
        if counting is not None and counting.asks_attestation and views.version.attesting_keys is None:
            raise CommandError(
                f"{policy} asks for attested events, and version {views.version.version} was judged by a release that "
                "did not look at attestations; run `./viewledger batch upgrade`",
                ExitCode.REFUSED,
            )
        found = compare(
            rate_period(views.pieces(attribution), attribution, tree=LeafCount),
            rate_period(views.pieces(proposed, counting), proposed, tree=LeafCount),
            currency=currency,
        )
        version = views.version.version
    headline = f"period {period}, batch version {version}, contract version {contract_version}"
    show(backtest_json(found), lambda: backtest_text(found, headline), as_json=as_json)
    return ExitCode.OK


def _read_files(
    contract: Path | None,
    policy: Path | None,
    *,
    store: PostgresCatalogueStore,
    policies: tuple[CountingPolicy, ...],
) -> tuple[Contracts | None, CountingPolicy | None]:
    """Read both files before anything is computed, so that the errors of both are reported together."""
    problems: list[str] = []
    contracts = counting = None
    try:
        if contract is not None:
            contracts = read_contracts(contract, policies, payees=store.newest_payees())
    except FileRefusedError as error:
        problems += error.problems
    try:
        counting = None if policy is None else read_policy(policy)
    except FileRefusedError as error:
        problems += error.problems
    if problems:
        raise FileRefusedError(problems)
    return contracts, counting
