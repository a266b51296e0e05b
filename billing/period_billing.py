"""Billing one period: read the settled views, check the preconditions, rate, post. Knows only ports."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from billing.book_ports import Books
from billing.bounds import Bounds
from billing.catalogue import Catalogue
from billing.errors import PreconditionsError
from billing.ports import CatalogueStore, SettledCount, SettledViews
from billing.preconditions import Findings, failed_preconditions
from billing.rating import evidence_roots, make_bills, rate_views
from billing.run_posting import RunSummary, post_bills
from billing.runs import NOBODY_ALONE, BillingRun
from ingestion.contract.periods import Period


@dataclass(frozen=True)
class BillingOrder:
    """What the operator asked for."""

    period: Period
    waived: Mapping[str, str]
    """Kind of precondition → who waived it."""
    allowed_lateness: timedelta
    calculated_at: datetime
    actor: str = "operator"
    approval_limits_micros: Mapping[str, int] = field(default_factory=dict)
    """Currency, or `*` → what a statement may earn without anybody's approval; nothing, where neither is there."""
    bounds: Bounds = field(default_factory=Bounds)
    dry_run: bool = False
    restates_because: str = ""
    """The cause of a restatement; empty for a run that bills the period."""


@dataclass(frozen=True)
class BilledPeriod:
    """What became of an order."""

    run: BillingRun
    summary: RunSummary
    unattributed: Mapping[str, int]
    """Video without a payee → billable views; empty unless waived."""
    name_by_payee: Mapping[str, str]
    dry_run: bool


def bill_period(order: BillingOrder, *, views: SettledViews, catalogues: CatalogueStore, books: Books) -> BilledPeriod:
    """Bill a period once: post what is new, or change nothing and say what was posted before.

    Raises:
        PreconditionsError: with every reason; nothing was posted.
        PostingConflictError, LedgerUnavailableError: see `billing.book_ports.Books`.
        EvidenceMismatchError: counts and events of the version disagree; nothing was posted.
    """
    newest_catalogue, newest_contract = catalogues.newest_catalogue(), catalogues.newest_contract()
    if newest_catalogue is None or newest_contract is None:
        parts = (("payees and videos", newest_catalogue), ("rates", newest_contract))
        missing = [what for what, newest in parts if newest is None]
        raise PreconditionsError([f"import: no {what} yet; run `./viewledger billing import`" for what in missing])
    (catalogue_version, catalogue), (contract_version, contract) = newest_catalogue, newest_contract
    judged: defaultdict[int, set[str]] = defaultdict(set)
    rated = rate_views(_noting_catalogues(views, order.period, judged), catalogue, contract)
    findings = Findings(
        views.version,
        catalogue_version,
        views.open_review_items(order.period),
        rated.unattributed,
        rated.unrated,
        _recatalogued(judged, catalogue_version, catalogue, catalogues),
    )
    failures = failed_preconditions(
        order.period, findings, allowed_lateness=order.allowed_lateness, waived=order.waived
    )
    if failures:
        raise PreconditionsError(failures)
    evidence = evidence_roots(views.billable_events(order.period), contract, rated.policy_by_day)
    bills = make_bills(rated, evidence, catalogue, contract.currency)
    run = BillingRun(
        period=order.period,
        currency=contract.currency,
        batch_version=views.version.version,
        catalogue_version=catalogue_version,
        contract_version=contract_version,
        waived=order.waived,
        unattributed_views=sum(rated.unattributed.values()),
        calculated_at=order.calculated_at,
        actor=order.actor,
        approval_limit_micros=order.approval_limits_micros.get(
            contract.currency, order.approval_limits_micros.get("*", 0)
        ),
        bounds=order.bounds,
    )
    if order.restates_because:
        run = as_restatement(run, order.restates_because, books)
    summary = post_bills(run, bills, books, dry_run=order.dry_run)
    return BilledPeriod(run, summary, dict(rated.unattributed), catalogue.name_by_payee, order.dry_run)


def as_restatement(run: BillingRun, cause: str, books: Books) -> BillingRun:
    """Return the run as the next restatement of its period: every statement of it waits for somebody's approval.

    Raises:
        PreconditionsError: the period was never billed.
    """
    number = books.restatement_number(run)
    if not number:
        raise PreconditionsError(
            [f"restatement: period {run.period} was never billed; bill it with `billing run --period {run.period}`"]
        )
    return replace(run, restatement_number=number, cause=cause, approval_limit_micros=NOBODY_ALONE)


def _noting_catalogues(
    views: SettledViews, period: Period, judged: defaultdict[int, set[str]]
) -> Iterator[SettledCount]:
    """Yield the counts of the period, noting which videos were judged by which catalogue version."""
    rules = views.version.day_rules
    for count in views.counts(period):
        if count.event_day in rules:
            judged[rules[count.event_day].catalogue_version].add(count.video_id)
        yield count


def _recatalogued(
    judged: Mapping[int, set[str]], newest_version: int, newest: Catalogue, catalogues: CatalogueStore
) -> set[str]:
    """Return the videos that were judged by other facts than the newest catalogue has."""
    unknown = (None, None)
    now, changed = newest.counting_facts, set[str]()
    for version in judged.keys() - {newest_version}:
        then = catalogues.catalogue(version).counting_facts
        changed |= {each for each in judged[version] if then.get(each, unknown) != now.get(each, unknown)}
    return changed
