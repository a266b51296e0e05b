"""Billing one period: read the settled views, check the preconditions, rate, post. Knows only ports."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from billing.books.book_ports import Books
from billing.books.bounds import Bounds
from billing.books.run_posting import RunSummary, post_bills
from billing.books.runs import NOBODY_ALONE, BillingRun
from billing.errors import EvidenceMismatchError, PreconditionsError
from billing.ports import CatalogueStore, ReviewedEvent, SettledViews
from billing.rating.attribution import Attribution
from billing.rating.preconditions import Findings, Waivable, failed_preconditions
from billing.rating.rating import rate_period
from ingestion.contract.counting import VideoFacts
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
        PostingConflictError, LedgerUnavailableError: see `billing.books.book_ports.Books`.
        EvidenceMismatchError: counts and events of the version disagree; nothing was posted.
    """
    attribution, catalogue_version, contract_version = newest_terms(order.period, catalogues)
    unplaced = list(views.unplaced(attribution))
    findings = Findings(
        views.version,
        catalogue_version,
        _undecided(views, books, order.period),
        unplaced,
        recatalogued_videos(views, attribution, catalogue_version, catalogues),
        views.unreconciled(),
    )
    failures = failed_preconditions(
        order.period, findings, allowed_lateness=order.allowed_lateness, waived=order.waived
    )
    if failures:
        raise PreconditionsError(failures)
    if contradictions := views.contradictions(order.period):
        raise EvidenceMismatchError("; ".join(contradictions))
    unattributed = {each.video_id: each.billable_views for each in unplaced if each.payee_id is None}
    currency = attribution.contracts.currency
    run = BillingRun(
        period=order.period,
        currency=currency,
        batch_version=views.version.version,
        catalogue_version=catalogue_version,
        contract_version=contract_version,
        waived=order.waived,
        unattributed_views=sum(unattributed.values()),
        calculated_at=order.calculated_at,
        actor=order.actor,
        approval_limit_micros=order.approval_limits_micros.get(currency, order.approval_limits_micros.get("*", 0)),
        bounds=order.bounds,
    )
    if order.restates_because:
        run = as_restatement(run, order.restates_because, books)
    bills = rate_period(views.pieces(attribution), attribution)
    summary = post_bills(run, bills, books, dry_run=order.dry_run)
    names = {payee_id: payee.name for payee_id, payee in attribution.catalogue.payee_by_id.items()}
    return BilledPeriod(run, summary, unattributed, names, order.dry_run)


def _undecided(views: SettledViews, books: Books, period: Period) -> Mapping[str, int]:
    """Return the events that wait for review, by kind: not the late ones that were rejected, nor decided conflicts."""
    waiting = dict(views.open_review_items(period))
    if waiting.get(Waivable.LATE_REVIEW):
        decided = books.decisions("late_event", [place_of(each) for each in views.late_events(period)])
        waiting[Waivable.LATE_REVIEW] -= sum(decision == "rejected" for decision in decided.values())
    if waiting.get(Waivable.CONFLICT):
        waiting[Waivable.CONFLICT] -= len(
            books.decisions("conflict", [place_of(each) for each in views.conflicts(period)])
        )
    return waiting


def place_of(event: ReviewedEvent) -> str:
    """Return the name under which an event is decided: its place in the log."""
    return f"{event.partition}:{event.offset}"


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


def newest_terms(period: Period, catalogues: CatalogueStore) -> tuple[Attribution, int, int]:
    """Return what a period is billed by now, with the versions of the catalogue and of the contracts.

    Raises:
        PreconditionsError: one of them was never imported.
    """
    newest_catalogue, newest_contracts = catalogues.newest_catalogue(), catalogues.newest_contracts()
    if newest_catalogue is None or newest_contracts is None:
        parts = (("payees and videos", newest_catalogue), ("contracts", newest_contracts))
        missing = [what for what, newest in parts if newest is None]
        raise PreconditionsError(
            [f"import: no {what} to bill period {period} by; run `./viewledger billing import`" for what in missing]
        )
    (catalogue_version, catalogue), (contract_version, contracts) = newest_catalogue, newest_contracts
    return Attribution(period, catalogue, contracts), catalogue_version, contract_version


def recatalogued_videos(
    views: SettledViews, attribution: Attribution, newest_version: int, catalogues: CatalogueStore
) -> set[str]:
    """Return the videos with views in the period that were judged by other facts than the newest catalogue has."""
    period, unknown = attribution.period, VideoFacts()
    days: defaultdict[int, set[date]] = defaultdict(set)
    for day in period.days():
        if (rules := views.version.day_rules.get(day)) and rules.catalogue_version != newest_version:
            days[rules.catalogue_version].add(day)
    if not days:
        return set()
    found, now = set[str](), attribution.catalogue.counting_facts(period)
    for version, judged in days.items():
        then = catalogues.catalogue(version).counting_facts(period)
        changed = {each for each in {*now, *then} if now.get(each, unknown) != then.get(each, unknown)}
        if changed:
            found |= set(views.videos_seen(judged, changed))
    return found
