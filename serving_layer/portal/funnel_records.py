"""The records of the page of a month, from the events received to what is paid out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ingestion.contract.periods import Period
from serving_layer.portal.finance_records import SumRow


@dataclass(frozen=True)
class StageRow:
    """How many events of the period come through a stage, and what the stage before had more, by outcome."""

    name: str
    events: int
    without: Mapping[str, int]


@dataclass(frozen=True)
class MoneyRow:
    """The statements of the period in one currency: of each payee the one in the ledger, else the newest."""

    currency: str
    statement_count: int
    billable_views: int
    """Summed over payees: a view of a video with several owners is in the statement of each."""
    earned_micros: int
    tax_micros: int
    payable_micros: int
    waiting_micros: int
    """Payable, and not in the ledger."""
    held_micros: int
    suspense_micros: int
    """In the ledger, of videos whose owner is not known."""
    due_micros: int
    """In the ledger and in no settled payout."""
    paid_micros: int
    """Covered by a settled payout."""
    restated_count: int
    restated_micros: int

    @property
    def posted_micros(self) -> int:
        """Return what is in the ledger."""
        return self.suspense_micros + self.due_micros + self.paid_micros


@dataclass(frozen=True)
class ChangeRow:
    """What a payee earned in a period against the one before; a statement is None where there is none."""

    payee_id: str
    payee_name: str
    currency: str
    before_id: str | None
    now_id: str | None
    before_micros: int
    now_micros: int
    before_views: int
    now_views: int


@dataclass(frozen=True)
class MonthFunnel:
    """A period in the current version and in the books."""

    period: Period
    version: int | None
    settled_until: datetime | None
    is_tallied: bool
    """Whether the version has a tally by day."""
    events: tuple[StageRow, ...]
    not_billable: Mapping[str, int]
    """Outcome that is not billable → counted views of the statements. A view is in those of all its owners."""
    money: tuple[MoneyRow, ...]
    before: Period | None
    """The last billed period that ended before this one."""
    changes: tuple[ChangeRow, ...]
    """The largest ones of each currency, by size."""
    waiting: Mapping[str, int | None]
    """Kind (`conflict`, `late_event`, `traffic_group`) → how many wait in the period; None: never counted."""
    holds: tuple[SumRow, ...]
    """Pending, of all periods, as the next two."""
    suspense: tuple[SumRow, ...]
    payments: tuple[SumRow, ...]
    periods: tuple[Period, ...]
    """All periods, newest first."""
