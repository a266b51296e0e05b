"""Backtests: what other terms would have paid for a period, payee by payee. Posts nothing. Pure."""

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from billing.rating.rated_lines import PayeeBill, settle_bill

PAYEES_SHOWN_MAX = 20


@dataclass(frozen=True)
class Earned:
    """The amount that one payee earns by a bill that begins without a remainder; the same for all compared terms."""

    views: int = 0
    earned_micros: int = 0
    """Including withheld tax, after the contract's cap."""
    payable_micros: int = 0

    def __add__(self, other: "Earned") -> "Earned":
        return Earned(
            self.views + other.views,
            self.earned_micros + other.earned_micros,
            self.payable_micros + other.payable_micros,
        )


@dataclass(frozen=True)
class Change:
    """One payee under the terms in force and under the proposed ones."""

    payee_id: str
    now: Earned
    proposed: Earned

    @property
    def change_micros(self) -> int:
        """Return how much more the payee would earn; negative for less."""
        return self.proposed.earned_micros - self.now.earned_micros


@dataclass(frozen=True)
class Backtest:
    """The sums over all payees, and the payees that would gain or lose most."""

    currency: str
    payee_count: int
    changed_count: int
    now: Earned
    proposed: Earned
    largest: tuple[Change, ...]
    """The largest changes first, at most `PAYEES_SHOWN_MAX`."""


def compare(now: Iterable[PayeeBill], proposed: Iterable[PayeeBill], *, currency: str) -> Backtest:
    """Return the change from one way to bill a period to another; both by payee id, one payee in memory at a time."""
    payee_count = changed_count = 0
    sum_now, sum_proposed = Earned(), Earned()
    largest: list[tuple[int, str, Change]] = []
    for change in _changes(now, proposed):
        payee_count += 1
        changed_count += change.now != change.proposed
        sum_now, sum_proposed = sum_now + change.now, sum_proposed + change.proposed
        if change.now != change.proposed:
            heapq.heappush(largest, (abs(change.change_micros), change.payee_id, change))
            if len(largest) > PAYEES_SHOWN_MAX:
                heapq.heappop(largest)
    shown = sorted((change for _, _, change in largest), key=lambda each: (-abs(each.change_micros), each.payee_id))
    return Backtest(currency, payee_count, changed_count, sum_now, sum_proposed, tuple(shown))


def _changes(now: Iterable[PayeeBill], proposed: Iterable[PayeeBill]) -> Iterator[Change]:
    both = heapq.merge(_of_side(0, now), _of_side(1, proposed), key=lambda each: each[:2])
    for payee_id, bills in itertools.groupby(both, key=lambda each: each[0]):
        earned = [Earned(), Earned()]
        for _, side, bill in bills:
            settled = settle_bill(bill, 0)
            earned[side] = Earned(bill.billable_views, settled.earned_micros, settled.payable_micros)
        yield Change(payee_id, *earned)


def _of_side(side: int, bills: Iterable[PayeeBill]) -> Iterator[tuple[str, int, PayeeBill]]:
    return ((bill.payee_id, side, bill) for bill in bills)
