"""Laws of money over random contracts, shares, counts and successive periods; a failure names its seed."""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from billing.books.bounds import Bounds
from billing.books.posting import LedgerTransaction, statement_key
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.rating.attribution import Attribution
from billing.rating.rated_lines import PayeeBill, settle_bill
from billing.rating.rating import rate_period
from billing.rating.view_chain import view_chain
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import AdRate, Contract, Contracts, Rate, RateCard, RateForm, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, divided
from ingestion.contract.periods import Period
from tests.billing_fakes import CALCULATED_AT, Count, FakeCatalogueStore, FakeSettledViews, flat, published
from tests.books_fakes import FakeBooks

COUNTRIES = ["US", "GB", "FR", "NO", "ZZ", "us", None]
AD_TYPES = ["mid", "pre", "unknown"]
FIRST_DAY = date(2024, 1, 1)
SEEDS = range(20261100, 20261130)
WIDE = Bounds(change_factor=10**30)
"""Within these, only a payee who had views and has none is held."""


class Books:
    """A random catalogue, contracts and settled counts of several periods, and an empty ledger."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.payees = [f"payee-{index}" for index in range(self.chance.randint(1, 6))]
        videos = [f"{self.chance.choice('-_aZ9')}video{index}" for index in range(self.chance.randint(1, 12))]
        self.periods = self._periods()
        named = tuple(sorted(self.chance.sample(self.payees, self.chance.randint(0, len(self.payees)))))
        contracts = [Contract("standard", None, self._cards())]
        contracts += [Contract("network", named, self._cards())] if named else []
        self.contracts = Contracts("USD", tuple(contracts))
        countries = {payee_id: self.chance.choice([None, "US", "NO"]) for payee_id in self.payees}
        self.catalogue = Catalogue(
            tuple(Payee(payee_id, payee_id, None, countries[payee_id]) for payee_id in self.payees),
            tuple(Video(video_id) for video_id in sorted(videos)),
            tuple(share for video_id in sorted(videos) for share in divided(video_id, self._shares(video_id))),
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
        """Successive periods of 1 to 5 days, over a leap day or the begin of summer time now and then."""
        start, periods = self.chance.choice([FIRST_DAY, date(2024, 2, 26), date(2026, 3, 28)]), []
        for _ in range(self.chance.randint(1, 4)):
            end = start + timedelta(days=self.chance.randint(1, 5))
            periods.append(Period(start, end))
            start = end
        return periods

    def _shares(self, video_id: str) -> list[OwnerShare]:
        """One to three owners, who may sell everything on some day."""
        start, shares = SINCE_EVER, []
        sale_on = self.periods[0].start_on + timedelta(days=self.chance.randint(0, 9))
        for end in self.chance.choice([[WITHOUT_END], [sale_on, WITHOUT_END]]):
            owners = self.chance.sample(self.payees, self.chance.randint(1, min(3, len(self.payees))))
            cuts = sorted(self.chance.sample(range(1, 1_000_000), len(owners) - 1))
            for owner, (low, high) in zip(owners, itertools.pairwise([0, *cuts, 1_000_000]), strict=True):
                shares.append(OwnerShare(video_id, start, end, owner, high - low))
            start = end
        return shares

    def _cards(self) -> tuple[RateCard, ...]:
        days = {FIRST_DAY} | {self.periods[0].start_on + timedelta(days=self.chance.randint(0, 20)) for _ in range(2)}
        return tuple(self._card(day) for day in sorted(days))

    def _card(self, day: date) -> RateCard:
        types = self.chance.sample(AD_TYPES[:2], self.chance.randint(0, 2))
        return RateCard(
            day,
            self._rate(),
            {country: self._rate() for country in sorted(self.chance.sample(["US", "GB", "NO"], 2))},
            minimum_view_seconds=self.chance.choice([None, 45]),
            ads={name: AdRate(2 * self.chance.randrange(10**9), 500_000) for name in sorted(types)},
            tax_ppm=self.chance.choice([0, 1, 333_333]),
            tax_ppm_by_country={"US": self.chance.randint(0, 1_000_000)},
            cap_micros=self.chance.choice([None, None, self.chance.randrange(10**9)]),
        )

    def _rate(self) -> Rate:
        form = self.chance.choice(list(RateForm))
        if form is RateForm.FLAT:
            return flat(self._micros())
        ends = sorted(self.chance.sample(range(1, 120), self.chance.randint(1, 4)))
        return Rate(form, (*(Tier(end, self._micros()) for end in ends), Tier(None, self._micros())))

    def _micros(self) -> int:
        return self.chance.choice([0, 1, 999, 1000, 1001, self.chance.randrange(10**7), self.chance.randrange(10**12)])

    def _count(self, video_id: str, day: date, country: str | None) -> Count:
        views = self.chance.choice([1, 2, self.chance.randint(1, 40)])
        billable = self.chance.choice([0, views, self.chance.randint(0, views)])
        ads = {name: self.chance.randint(1, 9) for name in self.chance.sample(AD_TYPES, self.chance.randint(0, 3))}
        others = {name: self.chance.randint(1, 5) for name in self.chance.sample(["duplicate", "rejected:x"], 1)}
        seconds = self.chance.choice([44, 45, 60])
        return Count(video_id, day, country, views, billable, seconds=seconds, ads=ads, others=others)

    def bill(
        self, period: Period, counts: Sequence[Count] | None = None, ledger: FakeBooks | None = None
    ) -> BilledPeriod:
        views = FakeSettledViews(self.counts if counts is None else counts, published(), ids_in_piece=3)
        return bill_period(
            BillingOrder(period, timedelta(hours=24), CALCULATED_AT, approval_limits_micros={"*": 10**30}, bounds=WIDE),
            views=views,
            catalogues=FakeCatalogueStore([self.catalogue], [self.contracts]),
            books=ledger or self.ledger,
        )

    def rated(self, period: Period) -> list[PayeeBill]:
        """Return the bills of a period without posting them."""
        attribution = Attribution(period, self.catalogue, self.contracts)
        return list(rate_period(FakeSettledViews(self.counts, published()).pieces(attribution), attribution))

    def over_cap_micros(self, transaction: LedgerTransaction) -> int:
        """Return what the contract's cap took away of a posted statement's lines."""
        statements = self.ledger.statements.values()
        return next(each.over_cap_micros for each in statements if statement_key(each) == transaction.idempotency_key)

    def owed_nanomicros_by_payee(self) -> Mapping[str, int]:
        """Σ rate × views × share, view by view from the counts, by the plainest reading of the contracts."""
        owed: defaultdict[str, int] = defaultdict(int)
        for period, payee_id in itertools.product(self.periods, self.payees):
            views = sorted(self._views(period, payee_id), key=lambda view: view[0])
            totals, numbers = Counter(place[2:] for place, _, _, _ in views), Counter[object]()
            for place, card, share_ppm, ads in views:
                numbers[place[2:]] += 1
                rate = card.by_country.get(place[3], card.default)
                number = totals[place[2:]] if rate.form is RateForm.VOLUME else numbers[place[2:]]
                price = next(tier for tier in rate.tiers if tier.up_to_views is None or number <= tier.up_to_views)
                owed[payee_id] += price.per_thousand_micros * share_ppm
                for name, quantity in ads.items():
                    income, part = card.ads.get(name, (0, 0))
                    owed[payee_id] += income * part // 10**6 * quantity * share_ppm
        return owed

    def _views(
        self, period: Period, payee_id: str
    ) -> Iterator[tuple[tuple[str, date, date, str], RateCard, int, Mapping[str, int]]]:
        """Every billable view of a payee, one by one: (place, card, share, its ad views)."""
        contract = self.contracts.contract_for(payee_id)
        assert contract is not None
        for share in self.catalogue.owners:
            start, end = max(share.from_on, period.start_on), min(share.to_on, period.end_on)
            for count in self.counts:
                is_owned = share.video_id == count.video_id and start <= count.event_day < end
                if is_owned and share.payee_id == payee_id:
                    *_, card = (card for card in contract.cards if card.effective_from_on <= count.event_day)
                    if count.seconds >= (card.minimum_view_seconds or 0):
                        heading = count.country if count.country in card.by_country else "*"
                        place = (share.video_id, share.from_on, card.effective_from_on, str(heading))
                        for index in range(count.billable_views):
                            yield place, card, share.share_ppm, count.ads if index == 0 else {}


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
        paid[transaction.payee_id] += transaction.entries[0].amount_micros + books.over_cap_micros(transaction)
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
def test_slices_of_tiers_partition_the_events_of_their_group(seed: int) -> None:
    books = Books(seed)
    for period in books.periods:
        for bill in books.rated(period):
            groups = defaultdict(list)
            for line in bill.lines:
                if line.kind == "views":
                    groups[line.order[:5]].append(line)
            for lines in groups.values():
                ends = [0, *(line.event_end for line in lines)]
                assert [line.event_start for line in lines] == ends[:-1], f"seed {seed}"
                tiers = [line.tier_index for line in lines]
                assert tiers == sorted(set(tiers)), f"seed {seed}"
                assert all(line.quantity == line.event_end - line.event_start > 0 for line in lines), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_chain_of_every_statement_adds_up_from_events_to_money(seed: int) -> None:
    books = Books(seed)
    for period in books.periods:
        for bill in books.rated(period):
            chain = view_chain(bill.outcomes)
            running = 0
            for link in chain:
                if link.is_sum and link is not chain[0]:
                    assert link.events == running, f"seed {seed}, {link}"
                running = link.events if link.is_sum else running + link.events
            assert chain[-1].events == bill.billable_views, f"seed {seed}"
            settled = settle_bill(bill, 0)
            parts = settled.over_cap_micros + settled.tax_micros + settled.payable_micros
            assert sum(line.amount_micros for line in settled.lines) == parts, f"seed {seed}"
            earned = settled.tax_micros + settled.payable_micros
            assert settled.tax_micros == earned * bill.terms.tax_ppm // 10**6, f"seed {seed}"
            assert bill.terms.cap_micros is None or earned <= bill.terms.cap_micros, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_view_more_or_less_in_a_billed_period_is_never_silent(seed: int) -> None:
    books = Books(seed)
    period = books.periods[0]
    paid = [
        index
        for index, count in enumerate(books.counts)
        if count.billable_views and count.seconds >= 45 and period.start_on <= count.event_day < period.end_on
    ]
    if not paid:
        return
    books.bill(period)
    index = books.chance.choice(paid)
    old = books.counts[index]
    fewer = replace(old, billable_views=old.billable_views - 1)
    summary = books.bill(period, [*books.counts[:index], fewer, *books.counts[index + 1 :]]).summary
    assert (summary.changed_count > 0, summary.posted_count) == (True, 0), f"seed {seed}"
