"""Billing one period: read the settled views, check the preconditions, rate, post. Knows only ports."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from billing.books.book_ports import Books
from billing.books.bounds import Bounds
from billing.books.run_posting import RunSummary, post_bills
from billing.books.runs import NOBODY_ALONE, BillingRun
from billing.errors import EvidenceMismatchError, Failure, Precondition, PreconditionsError
from billing.period_terms import PeriodTerms, Wanted, newer_terms, recatalogued_videos, steps_of, terms_of
from billing.ports import CatalogueStore, SettledViews
from billing.rating.causes import with_causes
from billing.rating.preconditions import failed_preconditions
from billing.rating.rated_lines import PayeeBill
from billing.rating.rating import rate_period
from billing.rating.remarks import Remarks, Unbilled, unbilled_of
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted
from ingestion.contract.settled import ReviewedEvent

Progress = Callable[[str], None]
"""Reports the step that begins."""
PAYEES_REPORTED = 1_000


@dataclass(frozen=True)
class BillingOrder:
    """The operator's order."""

    period: Period
    allowed_lateness: timedelta
    calculated_at: datetime
    actor: str = "operator"
    approval_limits_micros: Mapping[str, int] = field(default_factory=dict)
    """Currency, or `*` → the most that a statement may earn without approval; nothing if both are absent."""
    bounds: Bounds = field(default_factory=Bounds)
    dry_run: bool = False
    restates_because: str = ""
    """The cause of a restatement; empty for a run that bills the period."""
    wanted: Wanted = field(default_factory=Wanted)
    """For a restatement: the versions to rate by, instead of those of the period's statements."""


@dataclass(frozen=True)
class BilledPeriod:
    """The outcome of an order."""

    run: BillingRun
    summary: RunSummary
    remarks: Remarks
    name_by_payee: Mapping[str, str]
    dry_run: bool
    failures: tuple[Failure, ...] = ()
    """The preconditions that do not hold; a dry run shows them, and a run with nothing to post needs none."""


def bill_period(
    order: BillingOrder,
    *,
    views: SettledViews,
    catalogues: CatalogueStore,
    books: Books,
    progress: Progress = lambda _: None,
) -> BilledPeriod:
    """Bill a period once: post new statements, or change nothing and return what was posted before.

    Raises:
        PreconditionsError: names every reason; nothing was posted.
        TermsError: the requested versions cannot be used.
        PostingConflictError, UnavailableError: see `billing.books.book_ports.Books`.
        EvidenceMismatchError: counts and events of the version disagree; nothing was posted.
    """
    terms = terms_of(order.period, books.rests_on(order.period), catalogues, order.wanted)
    progress(f"version {views.version.version}: comparing the archive with what is on record")
    failures = failed_preconditions(
        order.period,
        views.version,
        views.unreconciled(),
        allowed_lateness=order.allowed_lateness,
        billed=books.billed_periods(),
    )
    if failures and not order.dry_run and terms.rests_on is None:
        raise PreconditionsError(failures)
    progress("comparing the published counts with the events")
    if not failures and (contradictions := views.contradictions(order.period)):
        raise EvidenceMismatchError("; ".join(contradictions))
    progress("looking for views that no statement pays")
    remarks = Remarks(
        unbilled_of(views.unplaced(terms.attribution)),
        views.open_review_items(order.period),
        recatalogued_videos(views, terms, catalogues),
        newer_terms(terms, views),
    )
    run = _run(order, terms, views.version.version, remarks.unbilled)
    if order.restates_because:
        run = as_restatement(run, order.restates_because, books)
    progress("rating the payees")
    bills = _reported(rated(terms, views, catalogues, run), progress)
    summary = post_bills(run, bills, books, dry_run=order.dry_run or bool(failures))
    if failures and not order.dry_run and summary.new_count:
        raise PreconditionsError(failures)
    names = {payee_id: payee.name for payee_id, payee in terms.attribution.catalogue.payee_by_id.items()}
    names[SUSPENSE] = "nobody's yet"
    return BilledPeriod(run, summary, remarks, names, order.dry_run, tuple(failures))


def _run(order: BillingOrder, terms: PeriodTerms, batch_version: int, unbilled: Unbilled) -> BillingRun:
    currency = terms.attribution.contracts.currency
    return BillingRun(
        period=order.period,
        currency=currency,
        batch_version=batch_version,
        catalogue_version=terms.catalogue_version,
        contract_version=terms.contract_version,
        unknown_views=unbilled.unknown_views,
        unrated_views=unbilled.unrated.total(),
        calculated_at=order.calculated_at,
        actor=order.actor,
        approval_limit_micros=order.approval_limits_micros.get(currency, order.approval_limits_micros.get("*", 0)),
        bounds=order.bounds,
    )


def rated(terms: PeriodTerms, views: SettledViews, catalogues: CatalogueStore, run: BillingRun) -> Iterator[PayeeBill]:
    """Yield the period's bills by payee id; those of a restatement show the effect of each cause."""
    if run.kind == "bill":
        return rate_period(views.pieces(terms.attribution), terms.attribution)
    steps = steps_of(terms, views.version, catalogues)
    return with_causes(
        [(cause, rate_period(views.pieces(attribution), attribution)) for cause, attribution in steps], run.currency
    )


def _reported(bills: Iterable[PayeeBill], progress: Progress) -> Iterator[PayeeBill]:
    """Yield the bills, and report how many there were now and then."""
    for count, bill in enumerate(bills, 1):
        yield bill
        if count % PAYEES_REPORTED == 0:
            progress(f"{counted(count, 'payee')} rated")


def place_of(event: ReviewedEvent) -> str:
    """Return the key of decisions about an event: its place in the log."""
    return f"{event.partition}:{event.offset}"


def as_restatement(run: BillingRun, cause: str, books: Books) -> BillingRun:
    """Return the run as the next restatement of its period: each of its statements needs approval.

    Raises:
        PreconditionsError: the period was never billed.
    """
    number = books.restatement_number(run)
    if not number:
        sentence = f"period {run.period} was never billed; bill it with `billing run --period {run.period}`"
        raise PreconditionsError([Failure(Precondition.RESTATEMENT, sentence)])
    return replace(run, restatement_number=number, cause=cause, approval_limit_micros=NOBODY_ALONE)
