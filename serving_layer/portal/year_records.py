"""The records of the page of a payee's year. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ingestion.contract.periods import Period

OF_STATEMENTS = frozenset({"statement", "reversal"})
OF_PAYOUTS = frozenset({"payout", "payout_rejected", "payout_returned", "payout_voided"})


@dataclass(frozen=True)
class YearRow:
    """One posting on a payee's account, and the balance after it."""

    day: date
    """The last day of a statement's period, the day of a payout."""
    posted_at: datetime
    kind: str
    amount_micros: int
    """Owed to the payee: positive."""
    tax_micros: int
    """Withheld with it."""
    balance_micros: int
    statement_id: str | None
    period: Period | None
    """Of a statement."""
    item_id: str | None
    """Of a payout: its reference."""
    account: str | None
    """Of a payout: masked."""

    @property
    def earned_micros(self) -> int | None:
        """Return what a statement adds to what was earned, before tax; None for anything else."""
        return self.amount_micros + self.tax_micros if self.kind in OF_STATEMENTS else None


@dataclass(frozen=True)
class YearInCurrency:
    """A payee's year in one currency; its end is its beginning and its rows."""

    currency: str
    start_micros: int
    """What was owed when the year began."""
    rows: Sequence[YearRow]

    @property
    def end_micros(self) -> int:
        """Return what is owed at the end."""
        return self.start_micros + sum(row.amount_micros for row in self.rows)

    @property
    def earned_micros(self) -> int:
        """Return what was earned before tax, corrections included."""
        return sum(row.earned_micros or 0 for row in self.rows)

    @property
    def tax_micros(self) -> int:
        """Return the tax that was withheld."""
        return sum(row.tax_micros for row in self.rows)

    @property
    def paid_micros(self) -> int:
        """Return what was paid out, less what came back."""
        return -sum(row.amount_micros for row in self.rows if row.kind in OF_PAYOUTS)

    @property
    def voided_micros(self) -> int:
        """Return the amounts on hold that were declared void."""
        return -sum(row.amount_micros for row in self.rows if row.kind not in OF_STATEMENTS | OF_PAYOUTS)
