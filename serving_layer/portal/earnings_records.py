"""The records of the page of a payee's earnings. Pure."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class EstimateRow:
    """What an open period comes to so far, as the last night calculated it: no money."""

    period_start_on: date
    period_end_on: date
    currency: str
    earned_micros: int
    billable_views: int
    estimated_at: datetime


@dataclass(frozen=True)
class BalanceRow:
    """What a payee is owed in one currency."""

    currency: str
    parts: tuple[tuple[str, int], ...]
    """Kind of transaction → what all of that kind added; the balance is their sum."""
    held_micros: int
    """The part of the balance that is on hold."""

    @property
    def amount_micros(self) -> int:
        """Return the balance; negative: it is taken from what is earned next."""
        return sum(amount for _, amount in self.parts)


_BATCH_PROGRESS = {
    "made": "waits for a second person",
    "approved": "approved, not sent yet",
    "written": "sent to the bank",
}
_PROGRESS = {
    "settled": "paid",
    "rejected": "not carried out by the bank, owed again",
    "returned": "came back, owed again",
    "voided": "taken back before it was sent, owed again",
}
"""State of a payment → what it means; an instructed one is as far as its batch."""


@dataclass(frozen=True)
class PayoutRow:
    """One payment to a payee; `item_id` is the reference on their bank statement."""

    item_id: str
    batch_id: str
    currency: str
    amount_micros: int
    execution_on: date
    account: str
    """Masked: the country and the last four characters."""
    state: str
    batch_state: str
    booked_on: date | None
    """The day on which the bank booked it, if that is known."""

    @property
    def progress(self) -> str:
        """Return what became of it, in words."""
        return _PROGRESS.get(self.state) or _BATCH_PROGRESS.get(self.batch_state, self.batch_state)


@dataclass(frozen=True)
class PayeeMoney:
    """A payee's balances, payments and account, all of one instant."""

    balances: tuple[BalanceRow, ...]
    payouts: tuple[PayoutRow, ...]
    """The newest first, at most 100."""
    account: str | None
    """The masked account in force; None: nothing can be paid."""
