"""What finance looks through: statements, payments and payees, a page at a time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, TypeVar

from billing.books.months import StateSum
from ingestion.contract.periods import Period

Row = TypeVar("Row")


class StatementOrder(StrEnum):
    """The order of a list of statements."""

    PERIOD = "period"
    """The newest period first, then by payee."""
    PAYABLE = "payable"
    """The largest amount first, currency by currency."""
    PAYEE = "payee"


@dataclass(frozen=True)
class StatementFilter:
    """Which statements are listed; an empty value sets no condition."""

    search: str = ""
    """A part of the payee's id or name."""
    payee_id: str = ""
    """This payee alone."""
    state: str = ""
    period: Period | None = None


@dataclass(frozen=True)
class PaymentFilter:
    """Which payments are listed; an empty value sets no condition."""

    search: str = ""
    """A part of the payee's id or name."""
    payee_id: str = ""
    """This payee alone."""
    state: str = ""
    batch_id: str = ""


@dataclass(frozen=True)
class RowRange:
    """The part of a list that one page shows."""

    offset: int
    count_max: int


@dataclass(frozen=True)
class FoundStatement:
    """A statement in a list."""

    statement_id: str
    payee_id: str
    payee_name: str
    period: Period
    restatement_number: int
    state: str
    currency: str
    billable_views: int
    earned_micros: int
    payable_micros: int


@dataclass(frozen=True)
class FoundPayment:
    """A payment in a list, with what became of it."""

    item_id: str
    batch_id: str
    payee_id: str
    payee_name: str
    currency: str
    amount_micros: int
    execution_on: date
    batch_state: str
    state: str
    reason: str
    """Why it is in this state, as the bank or a person said."""
    moved_at: datetime


@dataclass(frozen=True)
class FoundPayee:
    """A payee in a list, with what is owed in one currency; no currency: nothing was ever owed."""

    payee_id: str
    payee_name: str
    country: str
    currency: str
    balance_micros: int
    held_micros: int
    """The part of it that is on hold."""


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """A part of a list, and the sums of the whole list by state and currency."""

    rows: Sequence[Row]
    sums: Sequence[StateSum]

    @property
    def count(self) -> int:
        """Return how many rows the whole list has."""
        return sum(each.count for each in self.sums)
