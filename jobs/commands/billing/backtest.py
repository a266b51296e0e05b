"""`./viewledger billing backtest`: what other contracts, or another policy, would have paid."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from billing.books.postgres_traffic_decisions import PostgresTrafficDecisions
from billing.period_terms import terms_of
from billing.rating.backtest import compare
from billing.rating.rating import LeafCount, rate_period
from billing.rating.stake import Worth
from billing.rating.traffic_backtest import priced
from billing.terms.contracts import Contracts
from billing.terms.file_contracts import read_contracts
from billing.terms.file_policies import read_policy
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.printable import counted
from ingestion.contract.requests import FileRefusedError
from ingestion.contract.version import PublishedVersion
from jobs.commands.billing.backtest_tables import backtest_json, backtest_text, traffic_json, traffic_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.progress import progress_of
from jobs.wiring.settled_views import open_settled_views
from jobs.wiring.tried_traffic import open_traffic_trial, proposed_traffic_policy


@billing_work
def backtest_period(
    environ: Mapping[str, str],
    *,
    period: Period,
    contract: Path | None,
    policy: Path | None,
    traffic_policy: Path | None,
    as_json: bool,
) -> ExitCode:
    """Rate a period by the terms in force and by the proposed ones, from the same published version."""
    if traffic_policy is not None:
        if contract is not None or policy is not None:
            raise CommandError(
                "--traffic-policy is compared by itself; give it without --contract and --policy", ExitCode.BAD_INPUT
            )
        return _traffic(environ, period, traffic_policy, as_json=as_json)
    if contract is None and policy is None:
        raise CommandError(
            "nothing to compare with; give --contract, --policy, or both, or --traffic-policy", ExitCode.BAD_INPUT
        )
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


def _traffic(environ: Mapping[str, str], period: Period, file: Path, *, as_json: bool) -> ExitCode:
    """Judge the period's judged days by a proposed policy of traffic, and rate it as published and as judged so."""
    connect = billing_connector(environ)
    # as if it had ruled these days
    policy = replace(proposed_traffic_policy(PostgresPolicies(connect), file), effective_from_on=period.start_on)
    attribution = terms_of(period, None, PostgresCatalogueStore(connect)).attribution
    currency = attribution.contracts.currency
    expired = [each.decision.group for each in PostgresTrafficDecisions(connect).all() if each.is_expiry]
    with open_traffic_trial(environ, policy) as (views, judge):
        report = progress_of("backtest")
        tried = judge(_judged_days(period, views.version), report)
        report("rate", "the period as it is published and as it would be")
        worth = Worth.of(attribution.catalogue, attribution.contracts)
        groups = {"groups_now": tried.groups_now, "groups_proposed": tried.groups_proposed}
        traffic = priced(tried.moved(expired), worth, **groups)
        found = compare(
            rate_period(views.pieces(attribution), attribution, tree=LeafCount),
            rate_period(tried.pieces(attribution), attribution, tree=LeafCount),
            currency=currency,
        )
        headline = (
            f"period {period}, batch version {views.version.version}, {counted(len(tried.days), 'day')} judged again"
        )
        if tried.erased_days:
            headline += (
                f" ({counted(len(tried.erased_days), 'day')} left out, for viewers of it were forgotten or removed)"
            )
    document = backtest_json(found) | traffic_json(traffic, tried.days, tried.erased_days)
    show(
        document,
        lambda: "\n\n".join([backtest_text(found, headline), traffic_text(traffic, currency)]),
        as_json=as_json,
    )
    return ExitCode.OK


def _judged_days(period: Period, version: PublishedVersion) -> frozenset[date]:
    """Return the days of a period whose traffic was judged.

    Raises:
        CommandError: there is none.
    """
    known = [day for day in period.days() if day in version.day_rules]
    if not known:
        raise CommandError(
            f"batch version {version.version} has no event of period {period}; `batch versions --json` shows its days",
            ExitCode.BAD_INPUT,
        )
    judged = frozenset(day for day in known if version.day_rules[day].seen is not None)
    if not judged:
        raise CommandError(
            f"no day of period {period} was judged by rules of traffic until batch version {version.version}, so there "
            "is nothing to compare with; `traffic policy show` shows from which day on they judge",
            ExitCode.REFUSED,
        )
    return judged


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
