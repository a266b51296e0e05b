"""The nightly work of billing: bill the closed months and estimate the open ones. Knows only ports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from billing.books.book_ports import Books, Estimate, Estimates
from billing.books.run_posting import finalise_run
from billing.errors import Failure, PostingConflictError, Precondition, PreconditionsError
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.period_terms import terms_of
from billing.ports import CatalogueStore, SettledViews
from billing.rating.rated_lines import settle_bill
from billing.rating.rating import LeafCount, rate_period
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted

_RUN = "./viewledger billing run"
_BY_TIME = (Precondition.SETTLED, Precondition.TRAFFIC_JUDGED)


@dataclass(frozen=True)
class NightOf:
    """The outcome of one month."""

    period: Period
    outcome: str
    """`billed`, `estimated` (still open, or not settled yet) or `refused` (a person must act)."""
    detail: str
    billed: BilledPeriod | None = None
    failures: tuple[Failure, ...] = ()
    """The preconditions that do not hold."""
    estimates: tuple[Estimate, ...] = ()
    """What each payee would earn, where the outcome is `estimated`."""


@dataclass(frozen=True)
class Night:
    """The outcome of a night."""

    months: tuple[NightOf, ...]
    finalised_count: int
    """Statements that were approved and not posted yet: the approving command was interrupted."""
    conflicts: tuple[str, ...] = ()
    """Why approved restatements cannot be posted."""


def work_through_the_night(
    today: date,
    order_of: Callable[[Period], BillingOrder],
    *,
    views: SettledViews,
    catalogues: CatalogueStore,
    books: Books,
    estimates: Estimates,
) -> Night:
    """Bill each month that has ended and is not billed, estimate the others, and finish interrupted work.

    A second night on the same day changes nothing but the time of the estimates.
    """
    finalised, conflicts = _finalise_what_was_left(books)
    billed = books.billed_periods()
    newest = max(billed, key=lambda period: period.end_on, default=None)
    # a run that was killed is run again; it posts the rest
    left = [newest] if newest is not None and books.is_unfinished(newest) else []
    nights = []
    for period in [*left, *months_to_do(today, billed)]:
        night = _bill(period, order_of(period), views=views, catalogues=catalogues, books=books)
        if night.outcome == "estimated":
            found = estimate(period, views, catalogues)
            estimates.replace(period, found, views.version.version, order_of(period).calculated_at)
            detail = f"{night.detail}; {counted(len(found), 'payee')} estimated"
            night = NightOf(period, night.outcome, detail, estimates=tuple(found))
        nights.append(night)
    nights += [
        NightOf(days, "refused", f"no run bills these days: {_RUN} --period {days}") for days in left_out(today, billed)
    ]
    estimates.drop(books.billed_periods())
    return Night(tuple(nights), finalised, tuple(conflicts))


def _finalise_what_was_left(books: Books) -> tuple[int, list[str]]:
    """Post approved statements; a restatement that cannot be posted does not stop the others."""
    count, conflicts = 0, list[str]()
    for run_id in books.runs_with_approved():
        try:
            count += finalise_run(run_id, books).statement_count
        except PostingConflictError as error:
            conflicts += error.conflicts
    return count, conflicts


def months_to_do(today: date, billed: Sequence[Period]) -> list[Period]:
    """Return the months up to today's without any billed day, from the first billed day (else the month before)."""
    this = month_of(today)
    first = min((period.start_on for period in billed), default=this.start_on - timedelta(days=1))
    months = []
    month = month_of(first)
    while month.start_on <= this.start_on:
        if not any(map(month.overlaps, billed)):
            months.append(month)
        month = month_of(month.end_on)
    return months


def left_out(today: date, billed: Sequence[Period]) -> list[Period]:
    """Return the unbilled days, from the first billed one to this month, of months that are partly billed."""
    this = month_of(today)
    taken = sorted([*billed, *months_to_do(today, billed)], key=lambda period: period.start_on)
    found = []
    next_on = taken[0].end_on if billed else this.start_on
    for period in [*taken, this]:
        if next_on < period.start_on:
            found.append(Period(next_on, period.start_on))
        next_on = max(next_on, period.end_on)
    return found


def month_of(day: date) -> Period:
    """Return the calendar month (UTC) of a day."""
    start = day.replace(day=1)
    return Period(start, (start + timedelta(days=31)).replace(day=1))


def _bill(
    period: Period, order: BillingOrder, *, views: SettledViews, catalogues: CatalogueStore, books: Books
) -> NightOf:
    if order.calculated_at < period.end_at:
        return NightOf(period, "estimated", "the month goes on")
    try:
        billed = bill_period(order, views=views, catalogues=catalogues, books=books)
    except PostingConflictError as error:
        return NightOf(period, "refused", "; ".join(error.conflicts))
    except PreconditionsError as error:
        detail = "; ".join(map(str, error.failures))
        # only time fulfils it: the batch run that settles a month judges its days
        if any(failure.kind is Precondition.SETTLED for failure in error.failures) and all(
            failure.kind in _BY_TIME for failure in error.failures
        ):
            return NightOf(period, "estimated", detail)
        return NightOf(period, "refused", detail, failures=error.failures)
    summary = billed.summary
    return NightOf(period, "billed", f"{summary.posted_count} posted, {len(summary.waiting)} waiting", billed)


def estimate(period: Period, views: SettledViews, catalogues: CatalogueStore) -> list[Estimate]:
    """Return what each payee would earn from the views settled so far; it uses no remainder and is not a promise.

    Raises:
        PreconditionsError: there is no catalogue or no contract yet.
    """
    attribution = terms_of(period, None, catalogues).attribution
    return [
        Estimate(bill.payee_id, bill.currency, settle_bill(bill, 0).earned_micros, bill.billable_views)
        for bill in rate_period(views.pieces(attribution), attribution, tree=LeafCount)
    ]
