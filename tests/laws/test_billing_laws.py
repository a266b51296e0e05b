"""Laws of money over random contracts, counts and successive periods; a failure names its seed."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest

from billing.bounds import Bounds
from billing.catalogue import Catalogue, Payee, Video
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.rate_cards import RateCard, RateContract
from ingestion.contract.periods import Period
from tests.billing_fakes import CALCULATED_AT, Count, FakeCatalogueStore, FakeSettledViews, published
from tests.books_fakes import FakeBooks

COUNTRIES = ["US", "GB", "FR", "NO", "ZZ", "us", None]
FIRST_DAY = date(2024, 1, 1)
SEEDS = range(20261100, 20261130)
WIDE = Bounds(change_factor=10**30)
"""Within these, only a payee who had views and has none is held."""


class Books:
    """A random catalogue, contract and settled counts of several periods, and an empty ledger."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        payees = [f"payee-{index}" for index in range(self.chance.randint(1, 6))]
        videos = [f"{self.chance.choice('-_aZ9')}video{index}" for index in range(self.chance.randint(1, 15))]
        self.payee_by_video = {video_id: self.chance.choice(payees) for video_id in videos}
        self.periods = self._periods()
        self.contract = RateContract("USD", self._cards())
        self.catalogue = Catalogue(
            tuple(Payee(payee_id, payee_id) for payee_id in payees),
            tuple(Video(video_id, self.payee_by_video[video_id]) for video_id in sorted(videos)),
        )
        self.counts = [
            self._count(video_id, day, country)
            for period in self.periods
            for day in period.days()
            for video_id in videos
            for country in self.chance.sample(COUNTRIES, self.chance.randint(0, 3))
        ]
        self.ledger = FakeBooks()

    def _periods(self) -> list[Period]:
        """Successive periods of 1 to 5 days, over a leap day now and then."""
        start, periods = self.chance.choice([FIRST_DAY, date(2024, 2, 26), date(2026, 3, 28)]), []
        for _ in range(self.chance.randint(1, 4)):
            end = start + timedelta(days=self.chance.randint(1, 5))
            periods.append(Period(start, end))
            start = end
        return periods

    def _cards(self) -> tuple[RateCard, ...]:
        days = {FIRST_DAY} | {self.periods[0].start_on + timedelta(days=self.chance.randint(0, 20)) for _ in range(2)}
        return tuple(
            RateCard(day, self._rate(), {c: self._rate() for c in self.chance.sample(["US", "GB", "NO"], 2)})
            for day in sorted(days)
        )

    def _rate(self) -> int:
        return self.chance.choice([0, 1, 999, 1000, 1001, self.chance.randrange(10**7), self.chance.randrange(10**12)])

    def _count(self, video_id: str, day: date, country: str | None) -> Count:
        views = self.chance.choice([1, 2, self.chance.randint(1, 40)])
        return Count(video_id, day, country, views, self.chance.choice([0, views, self.chance.randint(0, views)]))

    def bill(
        self, period: Period, counts: Sequence[Count] | None = None, ledger: FakeBooks | None = None
    ) -> BilledPeriod:
        return bill_period(
            BillingOrder(
                period, {}, timedelta(hours=24), CALCULATED_AT, approval_limits_micros={"*": 10**30}, bounds=WIDE
            ),
            views=FakeSettledViews(self.counts if counts is None else counts, published()),
            catalogues=FakeCatalogueStore([self.catalogue], [self.contract]),
            books=ledger or self.ledger,
        )

    def owed_nanomicros_by_payee(self) -> Mapping[str, int]:
        """Rate × billable views, straight from the counts and the contract, by the plainest reading of both."""
        owed: defaultdict[str, int] = defaultdict(int)
        for count in self.counts:
            card = [card for card in self.contract.cards if card.effective_from_on <= count.event_day][-1]
            rate = card.per_thousand_micros_by_country.get(count.country or "", card.default_per_thousand_micros)
            owed[self.payee_by_video[count.video_id]] += rate * count.billable_views * 10**6
        return owed


@pytest.mark.parametrize("seed", SEEDS)
def test_paid_and_carried_equal_rate_times_views_for_every_payee(seed: int) -> None:
    books = Books(seed)
    order = list(books.periods)
    books.chance.shuffle(order)  # periods may be billed in any order
    for period in order:
        books.bill(period)
    paid: defaultdict[str, int] = defaultdict(int)
    carried: dict[str, int] = {}
    for transaction in books.ledger.transactions:
        paid[transaction.payee_id] += transaction.entries[0].amount_micros
        chained = transaction.chained
        assert chained is not None
        assert chained.carried_nanomicros_before == carried.get(transaction.payee_id, 0), f"seed {seed}"
        carried[transaction.payee_id] = chained.carried_nanomicros_after
        assert 0 <= chained.carried_nanomicros_after <= 999_999_999, f"seed {seed}"
    for payee_id, owed in books.owed_nanomicros_by_payee().items():
        assert paid[payee_id] * 10**9 + carried.get(payee_id, 0) == owed, f"seed {seed}, {payee_id}"
    assert all(totals.difference_nanomicros == 0 for totals in books.ledger.totals()), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_transaction_sums_to_zero_and_has_two_legs(seed: int) -> None:
    books = Books(seed)
    for period in books.periods:
        books.bill(period)
    for transaction in books.ledger.transactions:
        assert len(transaction.entries) >= 2, f"seed {seed}"
        assert sum(entry.amount_micros for entry in transaction.entries) == 0, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_billing_twice_equals_billing_once(seed: int) -> None:
    books = Books(seed)
    for period in books.periods:
        books.bill(period)
    once = list(books.ledger.transactions)
    for period in books.periods:
        summary = books.bill(period).summary
        assert (summary.new_count, summary.posted_count, summary.changed_count) == (0, 0, 0), f"seed {seed}"
    assert books.ledger.transactions == once, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_the_counted_rows_does_not_matter(seed: int) -> None:
    books = Books(seed)
    shuffled = list(books.counts)
    books.chance.shuffle(shuffled)
    other = FakeBooks()
    for period in books.periods:
        books.bill(period)
        books.bill(period, shuffled, other)
    assert other.transactions == books.ledger.transactions, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_view_more_or_less_in_a_billed_period_is_never_silent(seed: int) -> None:
    books = Books(seed)
    period = books.periods[0]
    billable = [
        index
        for index, count in enumerate(books.counts)
        if count.billable_views and period.start_on <= count.event_day < period.end_on
    ]
    if not billable:
        return
    books.bill(period)
    index = books.chance.choice(billable)
    old = books.counts[index]
    fewer = Count(old.video_id, old.event_day, old.country, old.views, old.billable_views - 1)
    summary = books.bill(period, [*books.counts[:index], fewer, *books.counts[index + 1 :]]).summary
    assert (summary.changed_count, summary.posted_count) == (1, 0), f"seed {seed}"
