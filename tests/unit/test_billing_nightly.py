"""A night of billing: what is closed is billed, what is open is estimated, and a second night changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.book_ports import PayeeRange
from billing.books.states import Move
from billing.errors import Precondition
from billing.nightly import Night, left_out, months_to_do, work_through_the_night
from billing.period_billing import BillingOrder
from ingestion.contract.periods import Period
from tests.billing_fakes import (
    Count,
    FakeCatalogueStore,
    FakeSettledViews,
    bill,
    card_of,
    catalogue_of,
    contracts_of,
    line,
    published,
    run_of,
)
from tests.books_fakes import FakeBooks, FakeEstimates, post

OCTOBER, NOVEMBER, DECEMBER = (Period.parse(f"2026-{month}") for month in (10, 11, 12))

# Which months a night takes up, by what was billed before it.
MONTHS = """
today      | billed                  | months
2026-11-05 |                         | 2026-10 2026-11
2026-11-30 | 2026-10                 | 2026-11
2026-12-01 | 2026-10                 | 2026-11 2026-12
2027-01-15 | 2026-10                 | 2026-11 2026-12 2027-01
2026-11-05 | 2026-11                 |
2026-11-25 | 2026-11-18/2026-11-21   |
2026-12-02 | 2026-11-18/2026-11-21   | 2026-12
2024-03-01 | 2024-01                 | 2024-02 2024-03
2026-12-02 | 2026-09 2026-11         | 2026-10 2026-12
2027-01-02 | 2026-10 2026-12-20/2027-01-02 | 2026-11
"""
MONTH_ROWS = [[cell.strip() for cell in row.split("|")] for row in MONTHS.strip().splitlines()[1:]]


@pytest.mark.parametrize(("today", "billed", "months"), MONTH_ROWS)
def test_a_night_takes_up_these_months(today: str, billed: str, months: str) -> None:
    found = months_to_do(date.fromisoformat(today), [Period.parse(each) for each in billed.split()])
    assert found == [Period.parse(each) for each in months.split()]


LEFT_OUT = [
    ("2026-11-25", "2026-11-18/2026-11-21", ""),
    ("2026-12-02", "2026-11-18/2026-11-21", "2026-11-21/2026-12-01"),
    ("2026-12-02", "2026-09-20/2026-10-02 2026-11", "2026-10-02/2026-11-01"),
    ("2026-12-02", "2026-09 2026-11", ""),
    ("2027-01-02", "2026-10 2026-12-20/2027-01-02", "2026-12-01/2026-12-20"),
    ("2026-12-02", "", ""),
]


@pytest.mark.parametrize(("today", "billed", "days"), LEFT_OUT)
def test_a_night_names_the_days_that_no_run_bills(today: str, billed: str, days: str) -> None:
    found = left_out(date.fromisoformat(today), [Period.parse(each) for each in billed.split()])
    assert found == [Period.parse(each) for each in days.split()]


def test_a_month_that_was_refused_is_billed_though_a_later_one_is_billed_already() -> None:
    nights = Nights()
    for period in (Period.parse("2026-09"), NOVEMBER):
        post(nights.books, run_of(period), [bill("ann", line(f"{period}"))])
    assert outcomes(nights.night(datetime(2026, 12, 4, tzinfo=UTC)))[0] == (OCTOBER, "billed")


@dataclass
class Nights:
    """Books with a catalogue, and ten billable views a month."""

    books: FakeBooks = field(default_factory=FakeBooks)
    estimates: FakeEstimates = field(default_factory=FakeEstimates)
    review_items: Mapping[str, int] = field(default_factory=dict)
    differences: Sequence[str] = ()

    def night(self, now: datetime, *, settled_until: datetime | None = None) -> Night:
        counts = [Count("v", date(2026, month, 3), None, 12, 10) for month in (10, 11, 12)]
        rows = [each for each in counts if each.event_day < now.date()]
        views = FakeSettledViews(
            rows, published(settled_until=settled_until or now), self.review_items, differences=self.differences
        )

        def order_of(period: Period) -> BillingOrder:
            return BillingOrder(period, timedelta(hours=24), now, "cron", {"*": 10**9})

        return work_through_the_night(
            now.date(),
            order_of,
            views=views,
            catalogues=FakeCatalogueStore([catalogue_of(v="ann")], [contracts_of(card_of(1000))]),
            books=self.books,
            estimates=self.estimates,
        )

    def estimated(self) -> list[tuple[Period, int]]:
        return [(period, each.earned_micros) for period, each, _ in self.estimates.of_payee("ann")]


def outcomes(night: Night) -> list[tuple[Period, str]]:
    return [(each.period, each.outcome) for each in night.months]


def test_a_closed_month_is_billed_and_the_open_one_estimated_without_any_money() -> None:
    nights = Nights()
    assert outcomes(nights.night(datetime(2026, 11, 4, tzinfo=UTC))) == [(OCTOBER, "billed"), (NOVEMBER, "estimated")]
    assert nights.estimated() == [(NOVEMBER, 10)]
    assert [each.effective_at for each in nights.books.transactions] == [OCTOBER.end_at]


def test_a_second_night_bills_nothing_again() -> None:
    nights = Nights()
    nights.night(datetime(2026, 11, 4, tzinfo=UTC))
    assert outcomes(nights.night(datetime(2026, 11, 4, tzinfo=UTC))) == [(NOVEMBER, "estimated")]
    assert len(nights.books.transactions) == 1
    assert nights.estimated() == [(NOVEMBER, 10)]


def test_a_month_that_is_not_settled_yet_is_estimated_until_it_is_and_then_billed() -> None:
    nights = Nights()
    early = nights.night(datetime(2026, 11, 4, tzinfo=UTC), settled_until=datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert outcomes(early) == [(OCTOBER, "estimated"), (NOVEMBER, "estimated")]
    assert "settled: " in early.months[0].detail
    assert nights.estimated() == [(NOVEMBER, 10), (OCTOBER, 10)]
    nights.night(datetime(2026, 11, 5, tzinfo=UTC))
    assert nights.estimated() == [(NOVEMBER, 10)], "a billed month has no estimate"


def test_a_closed_month_that_needs_somebody_is_refused_and_says_why() -> None:
    nights = Nights(differences=["a file is gone"])
    night = nights.night(datetime(2026, 11, 4, tzinfo=UTC))
    assert outcomes(night) == [(OCTOBER, "refused"), (NOVEMBER, "estimated")]
    assert "reconciled: a file is gone" in night.months[0].detail
    assert [each.kind for each in night.months[0].failures] == [Precondition.RECONCILED]
    assert nights.books.transactions == []


def test_events_that_wait_for_a_decision_delay_no_month() -> None:
    nights = Nights(review_items={"conflict": 2, "late_review": 5})
    assert outcomes(nights.night(datetime(2026, 11, 4, tzinfo=UTC))) == [(OCTOBER, "billed"), (NOVEMBER, "estimated")]


def test_a_night_that_was_killed_before_it_posted_is_finished_by_the_next_one() -> None:
    nights, at = Nights(), datetime(2026, 11, 4, tzinfo=UTC)
    run = run_of(OCTOBER)
    nights.books.begin(run)
    nights.books.calculate(run, [bill("ann")], PayeeRange())
    assert outcomes(nights.night(at)) == [(OCTOBER, "billed"), (NOVEMBER, "estimated")]
    assert [each.payee_id for each in nights.books.transactions] == ["ann"]
    assert outcomes(nights.night(at)) == [(NOVEMBER, "estimated")]


def test_a_restatement_that_cannot_be_posted_keeps_no_month_from_being_billed() -> None:
    nights = Nights()
    september = Period.parse("2026-09")
    post(nights.books, run_of(september), [bill("ann", line("w"))])
    restated = run_of(september, restatement_number=1, cause="x", catalogue_version=2, approval_limit_micros=-1)
    post(nights.books, restated, [bill("ann", line("w")), bill("bob", line("w"))])
    found = nights.books.statement("bob", september)
    assert found is not None
    nights.books.move("statement", found.statement.statement_id, Move("approved", "max"))
    night = nights.night(datetime(2026, 11, 4, tzinfo=UTC))
    assert (OCTOBER, "billed") in outcomes(night)
    assert "of the views of video w" in night.conflicts[0]


def test_a_statement_that_was_approved_and_not_posted_is_posted() -> None:
    nights = Nights()
    post(nights.books, run_of(OCTOBER, approval_limit_micros=-1), [bill("ann")])
    waiting = nights.books.statement("ann", OCTOBER)
    assert waiting is not None
    nights.books.move("statement", waiting.statement.statement_id, Move("approved", "max"))
    assert nights.night(datetime(2026, 11, 4, tzinfo=UTC)).finalised_count == 1
    assert len(nights.books.transactions) == 1
