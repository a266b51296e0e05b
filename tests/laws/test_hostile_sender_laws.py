"""A hostile sender tries for a month of nights to delay another's statement, or its own payee's: in vain."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.states import POSTED
from billing.nightly import work_through_the_night
from billing.period_billing import BillingOrder, bill_period
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import whole_share
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period
from tests.billing_fakes import Count, FakeCatalogueStore, FakeSettledViews, card_of, contracts_of, published
from tests.books_fakes import FakeBooks, FakeEstimates

SEEDS = range(20261200, 20261220)
PAYEES = ("ann", "bob", "cid", "new")
OWNED = {f"video-of-{payee}": payee for payee in PAYEES}
LOST = "lost"
"""A video of the catalogue without an owner."""
CATALOGUE = Catalogue(
    tuple(Payee(payee, payee) for payee in PAYEES),
    tuple(map(Video, sorted([LOST, *OWNED]))),
    tuple(whole_share(video, OWNED[video]) for video in sorted(OWNED)),
)
RATE = 500_000_000
"""Micros per 1,000 views: an honest month of 1,000 views is above the floor of every bound."""
LATENESS = timedelta(hours=24)


@dataclass
class Nights:
    """Honest months, and what the sender adds night by night."""

    seed: int
    books: FakeBooks = field(default_factory=FakeBooks)
    sent: list[Count] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        months = [date(2026, month, 3) for month in range(7, 13)]
        # the payee `new` has no past that an amount could be compared with
        self.honest = [
            Count(video, day, None, 1000, 1000)
            for video, payee in OWNED.items()
            for day in months
            if payee != "new" or day.month >= 10
        ]
        for month in ("2026-07", "2026-08", "2026-09"):
            order = self._order(Period.parse(month), datetime(2026, 10, 2, 1, tzinfo=UTC))
            bill_period(
                order,
                views=self._views(datetime(2026, 10, 2, 1, tzinfo=UTC)),
                catalogues=self._store(),
                books=self.books,
            )

    def _store(self) -> FakeCatalogueStore:
        return FakeCatalogueStore([CATALOGUE], [contracts_of(card_of(RATE))])

    def _order(self, period: Period, now: datetime) -> BillingOrder:
        return BillingOrder(period, LATENESS, now, "cron", {"*": 10**15})

    def _views(self, now: datetime) -> FakeSettledViews:
        rows = [each for each in [*self.honest, *self.sent] if each.event_day < now.date()]
        return FakeSettledViews(rows, published(settled_until=now), self.uncounted, ids_in_piece=500)

    def attack(self, today: date) -> None:
        """Send what a stranger can send, on days of this month and the one before."""
        for _ in range(self.chance.randint(1, 6)):
            day = today - timedelta(days=self.chance.randint(1, 33))
            victim = self.chance.choice(sorted(OWNED))
            self.sent.append(self._event(victim, day))
        for kind in ("late_review", "conflict"):
            self.uncounted[kind] += self.chance.randint(0, 50)

    def _event(self, victim: str, day: date) -> Count:
        flood = self.chance.randint(1, 5000)
        return self.chance.choice(
            [
                Count(f"invented-{self.chance.randrange(10**6)}", day, None, flood, flood),
                Count(LOST, day, None, flood, flood),
                Count(victim, day, "US", 0, 0, others={"rejected:clock_suspect": flood}),
                Count(victim, day, "US", 0, 0, others={"duplicate": flood, "conflict": 3, "late_review": 5}),
                Count(victim, day, "US", flood, 0),
                Count(victim, day, "US", 20, self.chance.randint(0, 20)),
            ]
        )

    def night(self, now: datetime) -> None:
        """Work through one night; nothing of it may be refused."""
        done = work_through_the_night(
            now.date(),
            lambda period: self._order(period, now),
            views=self._views(now),
            catalogues=self._store(),
            books=self.books,
            estimates=FakeEstimates(),
        )
        outcomes = {str(month.period): month.outcome for month in done.months}
        assert "refused" not in outcomes.values(), f"seed {self.seed}, {now}: {outcomes}"

    def standing(self, period: Period) -> dict[str, str]:
        """Return payee → the state of the period's statement."""
        return {
            each.payee_id: self.books.state(each) for each in self.books.statements.values() if each.period == period
        }


def nights_from(first: date, last: date) -> Sequence[datetime]:
    days = (last - first).days + 1
    return [
        datetime(first.year, first.month, first.day, 2, tzinfo=UTC) + timedelta(days=index) for index in range(days)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_statement_is_posted_on_the_first_night_it_can_be_whatever_somebody_sends(seed: int) -> None:
    nights = Nights(seed)
    for now in nights_from(date(2026, 10, 20), date(2026, 12, 4)):
        nights.attack(now.date())
        nights.night(now)
        for period in (Period.parse("2026-10"), Period.parse("2026-11")):
            standing = nights.standing(period)
            if now >= period.end_at + LATENESS:
                assert standing.keys() >= set(PAYEES), f"seed {seed}, {now}"
                assert set(standing.values()) <= POSTED, f"seed {seed}, {now}: {standing}"
            else:
                assert standing == {}, f"seed {seed}, {now}"
    posted = {each.payee_id for each in nights.books.transactions}
    assert posted <= {*PAYEES, SUSPENSE}, f"seed {seed}: an invented id was paid"
    assert all(each.difference_nanomicros == 0 for each in nights.books.totals())
    assert nights.books.beyond_whole() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_counted_changes_nobodys_amount(seed: int) -> None:
    attacked, quiet = Nights(seed), Nights(seed)
    for now in nights_from(date(2026, 10, 20), date(2026, 11, 3)):
        attacked.attack(now.date())
        attacked.sent = [each for each in attacked.sent if not each.billable_views or each.video_id not in OWNED]
        attacked.night(now)
        quiet.night(now)
    for each in quiet.books.statements.values():
        other = attacked.books.statements[each.statement_id]
        assert (other.payable_micros, other.inputs_hash) == (each.payable_micros, each.inputs_hash), f"seed {seed}"
