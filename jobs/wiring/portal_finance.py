"""Wire finance's pages to the books in PostgreSQL, with the rights of the API's role."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from billing.books.months import PeriodWaits, StateSum, WaitingCount
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_funnel import PostgresFunnel
from billing.books.postgres_waiting import PostgresWaiting
from billing.closing import Check, checks_of, forecast, steps_of
from billing.nightly import left_out, months_to_do
from billing.payouts.listings import PaymentFilter, RowRange, StatementFilter, StatementOrder
from billing.payouts.postgres_listings import PostgresListings
from billing.payouts.postgres_months import PostgresMonths
from billing.postgres_session import connector
from billing.waiting import CONFLICT, LATE_EVENT, TRAFFIC_GROUP
from ingestion.contract.periods import Period
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.portal.finance_records import (
    ClosingMonth,
    ClosingRow,
    PayeeRow,
    PaymentRow,
    PeriodRow,
    RowPage,
    StatementRow,
    SumRow,
    WaitingPage,
    WaitingRow,
)
from serving_layer.portal.funnel_records import ChangeRow, MoneyRow, MonthFunnel, StageRow

SHOWN_MAX = 500


class PortalFinance:
    """Implements `serving_layer.portal.finance_ports.FinanceReads`."""

    def __init__(
        self, url: str, allowed_lateness: timedelta, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        connect = connector(url, API_ROLE)
        self._allowed_lateness = allowed_lateness
        self._now = now
        self._books = PostgresBooks(connect)
        self._months = PostgresMonths(connect)
        self._funnel = PostgresFunnel(connect)
        self._waiting = PostgresWaiting(connect)
        self._listings = PostgresListings(connect)

    def closing(self, period: Period | None) -> ClosingMonth:
        """See the port."""
        now, billed, waiting = self._now(), self._books.billed_periods(), self._waiting.counts()
        unbilled = unbilled_periods(now.date(), billed)
        chosen = period or next(iter(unbilled), None) or billed[-1]
        figures = self._months.figures(chosen)
        return ClosingMonth(
            period=chosen,
            is_billed=chosen in billed,
            checks=_rows(checks_of(figures, waiting, now=now, allowed_lateness=self._allowed_lateness)),
            steps=_rows(steps_of(figures, now=now)),
            forecast=forecast(figures),
            estimated_at=figures.estimated_at,
            estimated_version=figures.estimated_version,
            statements=_sums(figures.statements),
            payments=_sums(figures.payments),
            periods=period_rows(billed, unbilled, self._months.waiting(), waiting),
        )

    def funnel(self, period: Period | None) -> MonthFunnel:
        """See the port."""
        billed, waiting = self._books.billed_periods(), self._waiting.counts()
        unbilled = unbilled_periods(self._now().date(), billed)
        chosen = period or (billed or unbilled)[-1]
        found, figures = self._funnel.funnel(chosen), self._months.figures(chosen)
        return MonthFunnel(
            period=chosen,
            version=found.version,
            settled_until=found.settled_until,
            is_tallied=found.is_tallied,
            events=tuple(StageRow(**vars(each)) for each in found.events),
            not_billable=found.not_billable,
            money=tuple(MoneyRow(**vars(each)) for each in found.money),
            before=found.before,
            changes=tuple(ChangeRow(**vars(each)) for each in found.changes),
            waiting={
                kind: waiting[kind].of(chosen)[0] if kind in waiting else None
                for kind in (CONFLICT, LATE_EVENT, TRAFFIC_GROUP)
            },
            holds=_sums(figures.holds),
            suspense=_sums(figures.suspense),
            payments=_sums(figures.payments),
            periods=_newest_first(billed, unbilled),
        )

    def waiting(self, kind: str, period: Period | None) -> WaitingPage:
        """See the port."""
        found = self._waiting.counts().get(kind)
        if found is None:
            return WaitingPage((), 0, 0, None, None)
        rows = tuple(WaitingRow(**vars(each)) for each in self._waiting.listed(kind, period, SHOWN_MAX))
        count = found.of(period)[0] if period else sum(items for items, _ in found.by_day.values())
        return WaitingPage(rows, count, found.unlisted_count, found.batch_version, found.counted_at)

    def billed_periods(self) -> Sequence[Period]:
        """See the port."""
        return self._books.billed_periods()

    def statements(
        self,
        *,
        search: str,
        payee_id: str,
        state: str,
        period: Period | None,
        order: str,
        offset: int,
        count_max: int,
    ) -> RowPage[StatementRow]:
        """See the port."""
        wanted, part = StatementFilter(search, payee_id, state, period), RowRange(offset, count_max)
        found = self._listings.statements(wanted, StatementOrder(order), part)
        return RowPage(tuple(StatementRow(**vars(each)) for each in found.rows), _sums(found.sums))

    def payments(
        self, *, search: str, payee_id: str, state: str, batch_id: str, offset: int, count_max: int
    ) -> RowPage[PaymentRow]:
        """See the port."""
        wanted = PaymentFilter(search, payee_id, state, batch_id)
        found = self._listings.payments(wanted, RowRange(offset, count_max))
        return RowPage(tuple(PaymentRow(**vars(each)) for each in found.rows), _sums(found.sums))

    def payees(self, *, search: str, offset: int, count_max: int) -> RowPage[PayeeRow]:
        """See the port."""
        found = self._listings.payees(search, RowRange(offset, count_max))
        return RowPage(tuple(PayeeRow(**vars(each)) for each in found.rows), _sums(found.sums))


def unbilled_periods(today: date, billed: Sequence[Period]) -> list[Period]:
    """Return what no run has billed up to this month, the oldest first."""
    return sorted([*months_to_do(today, billed), *left_out(today, billed)], key=lambda period: period.start_on)


def period_rows(
    billed: Sequence[Period],
    unbilled: Sequence[Period],
    statements: Sequence[PeriodWaits],
    waiting: Mapping[str, WaitingCount],
) -> tuple[PeriodRow, ...]:
    """Return a row for each period, newest first; the last ones, without a period, have what is in none of them.

    What was never counted is None.
    """
    waits = {each.period: each.in_review + each.held + each.approved for each in statements}
    periods = _newest_first(billed, unbilled)

    def counted(count: Callable[[WaitingCount], int]) -> tuple[int | None, int | None, int | None]:
        late, conflicts, groups = (
            count(pool) if (pool := waiting.get(kind)) else None for kind in (LATE_EVENT, CONFLICT, TRAFFIC_GROUP)
        )
        return late, conflicts, groups

    others = {
        "other days": counted(lambda pool: _elsewhere(pool, periods)),
        "beyond the list": counted(lambda pool: pool.unlisted_count),
    }
    return (
        *(PeriodRow(each, each in billed, waits.get(each, 0), *counted(_in_period(each))) for each in periods),
        *(PeriodRow(None, False, 0, *counts, other) for other, counts in others.items() if any(counts)),
    )


def _newest_first(billed: Sequence[Period], unbilled: Sequence[Period]) -> tuple[Period, ...]:
    return tuple(sorted({*billed, *unbilled}, key=lambda period: period.start_on, reverse=True))


def _in_period(period: Period) -> Callable[[WaitingCount], int]:
    return lambda pool: pool.of(period)[0]


def _elsewhere(pool: WaitingCount, periods: Sequence[Period]) -> int:
    """Return how many listed items are on a day of none of the periods."""
    return sum(items for day, (items, _) in pool.by_day.items() if not any(period.contains(day) for period in periods))


def _rows(checks: Sequence[Check]) -> tuple[ClosingRow, ...]:
    return tuple(ClosingRow(each.name, each.state.value, each.sentence, each.count, each.amounts) for each in checks)


def _sums(found: Sequence[StateSum]) -> tuple[SumRow, ...]:
    return tuple(SumRow(each.state, each.currency, each.count, each.amount_micros) for each in found)
