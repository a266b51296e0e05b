"""Random holds and payouts of what books in memory owe, posted by the product's own rules."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from billing.books.postgres_holds import Hold, voided_hold
from billing.books.posting import LedgerTransaction, payable
from billing.books.states import OPEN, Transition
from billing.payouts.account_entries import BankEntry, bank_transaction
from billing.payouts.payouts import PayoutItem, item_id_of, payout_transaction
from tests.books_fakes import FakeBooks

STEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "instructed": (("instructed", "payout"),),
    "settled": (("instructed", "payout"), ("settled", "payout_settled")),
    "rejected": (("instructed", "payout"), ("rejected", "payout_rejected")),
    "returned": (("instructed", "payout"), ("settled", "payout_settled"), ("returned", "payout_returned")),
    "voided": (("instructed", "payout"), ("voided", "payout_voided")),
}
"""Outcome of a payment → its steps, each with the kind of transaction that posts it."""


@dataclass
class PaidOut:
    """The rows that holds and payouts are made of."""

    at: datetime
    books: FakeBooks
    causes: list[tuple[str, str, dict[str, Any], dict[str, Sequence[dict[str, Any]]]]] = field(default_factory=list)
    """Kind of record, key, row and the rows that belong to it."""

    def move(self, kind: str, subject_id: str, *to_states: str) -> None:
        steps = self.books.steps[kind, subject_id]
        for to_state in to_states:
            actor = "max" if to_state == "approved" else "eve"
            steps.append(Transition(steps[-1].to_state if steps else OPEN, to_state, actor, "", self.at))

    def hold(self, payee_id: str, amount_micros: int, decision: str) -> None:
        hold_id, expires_at = f"hold-{payee_id}", self.at + timedelta(days=30)
        row = {"hold_id": hold_id, "payee_id": payee_id, "currency": "USD", "amount_micros": amount_micros}
        row |= {"placed_at": self.at.isoformat(), "expires_at": expires_at.isoformat()}
        self.causes.append(("hold", hold_id, row, {}))
        self.move("hold", hold_id, "pending", *([decision] if decision != "pending" else []))
        if decision == "voided":
            held = Hold(hold_id, payee_id, "USD", amount_micros, self.at, expires_at, decision, "eve", "")
            self.books.transactions.append(voided_hold(held, self.at))

    def batch(self, batch_id: str, payments: Sequence[tuple[str, int, str]]) -> None:
        """Pay payees amounts; each payment gets as far as its outcome says."""
        day = self.at.date() + timedelta(days=3)
        row = {"batch_id": batch_id, "currency": "USD", "execution_on": str(day), "created_at": self.at.isoformat()}
        items = [PayoutItem(item_id_of(batch_id, each[0]), batch_id, each[0], 1, each[1]) for each in payments]
        self.causes.append(("payout_batch", batch_id, row, {"items": [dict(vars(item)) for item in items]}))
        is_voided = any(outcome == "voided" for _, _, outcome in payments)
        self.move("payout_batch", batch_id, "made", *(["voided"] if is_voided else ["approved", "written"]))
        for step in range(3):
            posted: list[LedgerTransaction] = []
            for item, (_, _, outcome) in zip(items, payments, strict=True):
                for to_state, kind in STEPS[outcome][step : step + 1]:
                    self.move("payout", item.item_id, to_state)
                    posted.append(payout_transaction(kind, item, "USD", datetime.combine(day, time(), UTC)))
            self.books.transactions += posted

    def book(
        self, reference: str, amount_micros: int, purpose: str, item_id: str | None = None, charges: int = 0
    ) -> None:
        """Keep a movement of the bank, and post what no step of a payment posts."""
        entry_id = item_id_of(reference, purpose)
        named_id = item_id_of(reference, "unknown") if purpose == "named" else None
        row = BankEntry(
            entry_id, "NO…7947", "S1", reference, self.at.date(), "USD", amount_micros, charges, item_id, purpose, "",
            named_id,
        )  # fmt: skip
        kept = {name: value for name, value in vars(row).items() if value is not None}
        self.causes.append(("bank_entry", entry_id, kept | {"booked_on": row.booked_on.isoformat()}, {}))
        if transaction := bank_transaction(row):
            self.books.transactions.append(transaction)

    def book_payments(self, chance: random.Random) -> None:
        """Let the bank book some of the payments that are settled or returned, and movements of its own."""
        items = [each for kind, _, _, rows in self.causes if kind == "payout_batch" for each in rows["items"]]
        for item in items:
            state = self.books.steps["payout", item["item_id"]][-1].to_state
            charges = chance.choice([0, 25])
            if state in ("settled", "returned") and chance.random() < 0.7:
                amount = -item["amount_micros"] - charges
                self.book(f"D{item['item_id'][:8]}", amount, "settles", item["item_id"], charges)
                if state == "returned" and item["amount_micros"] > charges:
                    amount = item["amount_micros"] - charges
                    self.book(f"R{item['item_id'][:8]}", amount, "returns", item["item_id"], charges)
        if chance.random() < 0.7:
            self.book("U1", chance.choice([-1, 1]) * 3_000_000, "unknown")
            self.book("F1", -500_000, "fee")
        if chance.random() < 0.3:
            self.book("U2", 7_000_000, "unknown")
            self.book("U2", -7_000_000, "named")


def paid_out(chance: random.Random, books: FakeBooks, at: datetime) -> PaidOut:
    """Hold a part of what some payees are owed, and pay out what is left, in a batch that is sent or voided."""
    paid = PaidOut(at, books)
    owed: Counter[str] = Counter()
    for transaction in books.transactions:
        for entry in transaction.entries:
            if entry.account == payable(transaction.payee_id):
                owed[transaction.payee_id] -= entry.amount_micros
    for payee_id in sorted(owed):
        if owed[payee_id] > 1 and chance.random() < 0.5:
            part = chance.randrange(1, owed[payee_id])
            decision = chance.choice(["pending", "released", "voided", "expired"])
            paid.hold(payee_id, part, decision)
            owed[payee_id] -= part if decision in ("pending", "voided") else 0
    for number in (1, 2):
        outcomes = ["voided"] if chance.random() < 0.3 else ["instructed", "settled", "rejected", "returned"]
        payments = [(each, owed[each], chance.choice(outcomes)) for each in sorted(owed) if owed[each] > 0]
        if payments:
            paid.batch(f"VL-USD-{number}", payments)
        for payee_id, _, outcome in payments:
            owed[payee_id] = owed[payee_id] if outcome in ("voided", "rejected", "returned") else 0
    paid.book_payments(chance)
    return paid
