"""Whatever the bank reports, in any order and however often: the books show what its account shows, to the micro."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from billing.payouts.account_entries import AccountReport, BankEntry, bank_transaction
from billing.payouts.file_answers import read_answer
from billing.payouts.judged_entries import judge
from billing.payouts.payouts import PayoutItem, expected_balances, item_id_of
from tests.account_reports import balances, detail, entry, euros, report, statement

BATCH = "VL-EUR-20261201-1"
SEEDS = range(150)


@dataclass
class Bank:
    """An account and what is booked on it, one movement after the other."""

    chance: random.Random
    items: list[PayoutItem]
    movements: list[tuple[int, str, str]] = field(default_factory=list)
    """Amount, movement with its payments, and the same without them."""
    settled: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    """Payments that were debited twice; a credit takes back the second debit, not the payment."""
    taken_back: set[str] = field(default_factory=set)
    fees: int = 0
    unknown: int = 0

    def book(self, amount: int, parts: str = "", **more: str) -> None:
        named = {"reference": f"R{len(self.movements)}"} | more
        self.movements.append((amount, entry(euros(amount), parts, **named), entry(euros(amount), **named)))

    def execute(self) -> None:
        """Debit the payments one by one or as a whole, return some of them, and move other money."""
        if self.chance.random() < 0.5:
            parts = "".join(detail(each.item_id, euros(-each.amount_micros)) for each in self.items)
            self.book(-sum(each.amount_micros for each in self.items), parts)
            self.settled |= {each.item_id for each in self.items}
        else:
            for item in self.items:
                self._debit(item)
        for item in self.items:
            if item.item_id in self.settled and self.chance.random() < 0.4:
                self._return(item)
        for _ in range(self.chance.randrange(3)):
            amount = self.chance.choice([-1, 1]) * self.chance.randrange(1, 10**6) * 10_000
            is_fee = self.chance.random() < 0.5
            self.book(amount, code="CHRG" if is_fee else "", parts=self.chance.choice(["", detail("somebody-else")]))
            self.fees -= amount if is_fee else 0
            self.unknown += 0 if is_fee else amount

    def _debit(self, item: PayoutItem) -> None:
        kind = self.chance.choice(["right", "right", "right", "wrong", "twice", "never"])
        if kind in ("right", "twice"):
            self.book(-item.amount_micros, detail(item.item_id))
            self.settled.add(item.item_id)
        if kind == "twice":
            self.book(-item.amount_micros, detail(item.item_id))
            self.unknown -= item.amount_micros
            self.doubled.add(item.item_id)
        if kind == "wrong":
            amount = -item.amount_micros - 10_000 * self.chance.choice([-1, 1])
            self.book(amount, detail(item.item_id))
            self.unknown += amount

    def _return(self, item: PayoutItem) -> None:
        if item.item_id in self.doubled:
            self.book(item.amount_micros, detail(item.item_id))
            self.taken_back.add(item.item_id)
            self.unknown += item.amount_micros
            return
        charge = self.chance.choice([0, 10_000])
        parts = detail(item.item_id, euros(item.amount_micros - charge), charges=euros(charge) if charge else "")
        self.book(item.amount_micros - charge, parts)
        self.returned.add(item.item_id)
        self.fees += charge

    def files(self) -> Iterator[str]:
        """Yield the movements in consecutive statements, and notifications of some of them."""
        left, balance, number = self.movements, 0, 0
        while left:
            here, left = left[: self.chance.randrange(1, 5)], left[0:]
            left = left[len(here) :]
            closing = balance + sum(amount for amount, _, _ in here)
            # a statement may have the total alone, and a notification its payments
            hides = self.chance.random() < 0.3
            of = balances(euros(balance), euros(closing))
            texts = [whole if hides else detailed for _, detailed, whole in here]
            number, balance = number + 1, closing
            yield report(statement(texts, identity=f"S{number}", of=of))
            if hides or self.chance.random() < 0.3:
                kind = "camt.054.001.08"
                yield report(statement([each for _, each, _ in here], identity=f"N{number}"), kind=kind)


@dataclass
class InMemory:
    """Books that keep what `judge` gives them, as the database does."""

    items: dict[str, PayoutItem]
    states: dict[str, str]
    rows: list[BankEntry] = field(default_factory=list)
    balances: Counter[str] = field(default_factory=Counter)

    def take(self, read: AccountReport) -> bool:
        """Keep a report; return whether it could be."""
        known = {item_id: (item, "EUR", self.states[item_id]) for item_id, item in self.items.items()}
        judged = judge(read.iban, read.entries, known, self.rows)
        if judged.problems:
            assert all("no statement shows yet that it left" in each for each in judged.problems), judged.problems
            return False
        for row in judged.new:
            if row.item_id and row.purpose in ("settles", "returns"):
                self.states[row.item_id] = {"settles": "settled", "returns": "returned"}[row.purpose]
            if transaction := bank_transaction(row):
                assert sum(each.amount_micros for each in transaction.entries) == 0
                self.balances.update({each.account: each.amount_micros for each in transaction.entries})
        self.rows += judged.new
        return True

    def totals(self) -> dict[str, int]:
        total = Counter(self.balances)
        for item_id, state in self.states.items():
            total.update(expected_balances(state, self.items[item_id].amount_micros))
        return dict(total)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_show_the_account_whatever_the_order_and_the_repetition(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    names = [f"p{number}" for number in range(chance.randrange(1, 5))]
    items = [PayoutItem(item_id_of(BATCH, each), BATCH, each, 1, chance.randrange(2, 10**6) * 10_000) for each in names]
    bank = Bank(chance, items)
    bank.execute()
    reads = []
    for text in bank.files():
        (tmp_path / "file.xml").write_text(text)
        read = read_answer(tmp_path / "file.xml")
        assert isinstance(read, AccountReport)
        reads.append(read)
    books = InMemory({each.item_id: each for each in items}, {each.item_id: "instructed" for each in items})
    is_in_order = seed % 3 == 0
    waiting = list(reads) if is_in_order or not reads else chance.choices(reads, k=len(reads) // 2) + reads
    if not is_in_order:
        chance.shuffle(waiting)
    while waiting:
        left = [each for each in waiting if not books.take(each)]
        assert len(left) < len(waiting), "a report can be kept once those before it are"
        waiting = left
    for read in reads:
        rows = len(books.rows)
        assert books.take(read)
        assert len(books.rows) == rows, "a report that came before says nothing new"
    wanted = {
        item_id: "returned" if item_id in bank.returned else "settled" if item_id in bank.settled else "instructed"
        for item_id in books.items
    }
    # a credit that is imported before the second debit looks like a return; that debit then waits in suspense
    early = {each for each in bank.taken_back if books.states[each] == "returned"}
    assert not (early and is_in_order), "in the order of the bank, nothing is owed again that was paid"
    wanted |= dict.fromkeys(early, "returned")
    bank.unknown -= sum(books.items[each].amount_micros for each in early)
    totals = books.totals()
    assert books.states == wanted
    assert totals.get("bank", 0) == sum(amount for amount, _, _ in bank.movements), "the account itself"
    assert totals.get("suspense:bank", 0) == -bank.unknown
    assert totals.get("expense:bank-fees", 0) == bank.fees
    assert sum(totals.values()) == 0
