"""The records of the pages of finance. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar

from ingestion.contract.periods import Period

Row = TypeVar("Row")


@dataclass(frozen=True)
class ClosingRow:
    """One line of a period's checklist."""

    name: str
    state: str
    """`ready`, `waits`, `blocks`, `unknown` or `later`."""
    sentence: str
    count: int | None
    amounts: tuple[tuple[int, str], ...]
    """Micros and currency of what is at stake, where that is known."""


@dataclass(frozen=True)
class SumRow:
    """Statements or payments in one state and currency."""

    state: str
    currency: str
    count: int
    amount_micros: int


@dataclass(frozen=True)
class PeriodRow:
    """A period and what waits in it."""

    period: Period | None
    """None: what is in no period, as `other` names it."""
    is_billed: bool
    statements: int
    """In review, held, or approved and not posted."""
    late_events: int | None
    """None: not counted yet."""
    conflicts: int | None
    traffic_groups: int | None
    other: str = ""

    @property
    def waits(self) -> int:
        """Return how much waits in it, as far as it was counted."""
        return self.statements + sum(filter(None, (self.late_events, self.conflicts, self.traffic_groups)))


@dataclass(frozen=True)
class ClosingMonth:
    """Everything that who closes a period looks at."""

    period: Period
    is_billed: bool
    checks: tuple[ClosingRow, ...]
    steps: tuple[ClosingRow, ...]
    forecast: tuple[tuple[int, str], ...]
    """What the period would earn, by currency; empty if it was not estimated, or is billed."""
    estimated_at: datetime | None
    estimated_version: int | None
    statements: tuple[SumRow, ...]
    payments: tuple[SumRow, ...]
    """Of all periods."""
    periods: tuple[PeriodRow, ...]
    """All periods, newest first."""


@dataclass(frozen=True)
class WaitingRow:
    """An event, or a group of events, that waits for a decision."""

    subject_id: str
    happened_at: datetime
    received_at: datetime | None
    event_count: int
    payee_id: str
    video_id: str
    event_id: str
    remark: str


@dataclass(frozen=True)
class WaitingPage:
    """What waits of one kind in a period, or in all."""

    rows: tuple[WaitingRow, ...]
    count: int
    """All that are listed somewhere; `rows` may be the first of them."""
    unlisted_count: int
    """Those of any day that the last night only counted."""
    version: int | None
    """The version that they were counted in; None: they were never counted."""
    counted_at: datetime | None


@dataclass(frozen=True)
class StatementRow:
    """A statement in finance's list."""

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
class PaymentRow:
    """A payment, with what became of it."""

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
    moved_at: datetime


@dataclass(frozen=True)
class PayeeRow:
    """A payee, with what is owed in one currency; without a currency nothing was ever owed."""

    payee_id: str
    payee_name: str
    country: str
    currency: str
    balance_micros: int
    held_micros: int


@dataclass(frozen=True)
class RowPage(Generic[Row]):
    """A page of a list, and the sums of the whole list by state and currency."""

    rows: tuple[Row, ...]
    sums: tuple[SumRow, ...]

    @property
    def count(self) -> int:
        """Return how many rows the whole list has."""
        return sum(each.count for each in self.sums)
