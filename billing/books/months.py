"""What the books hold of a period, for the person who closes it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from ingestion.contract.periods import Period

DUE, IN_SUSPENSE, NOTHING_DUE = "finalised, due", "finalised, in suspense", "finalised, nothing due"
"""Finalised statements by what a payout pays of them: all; nothing, as their payee is not known; nothing at all."""


@dataclass(frozen=True)
class WaitingCount:
    """What waits of one kind, as the last night counted it, less what was decided since."""

    by_day: Mapping[date, tuple[int, int]]
    """Day → listed items and the events in them."""
    unlisted_count: int
    """Items beyond the list, of any day."""
    batch_version: int
    counted_at: datetime

    def of(self, period: Period) -> tuple[int, int]:
        """Return the listed items of a period and the events in them."""
        found = [counts for day, counts in self.by_day.items() if period.contains(day)]
        return sum(items for items, _ in found), sum(events for _, events in found)


@dataclass(frozen=True)
class StateSum:
    """Statements or payments in one state and currency."""

    state: str
    currency: str
    count: int
    amount_micros: int
    """Of statements: earned."""


@dataclass(frozen=True)
class ClosingFigures:
    """Everything that the books hold of a period."""

    period: Period
    batch_version: int | None
    """The current version; None before the first one."""
    settled_until: datetime | None
    unjudged_days: tuple[date, ...]
    """Days of the period whose traffic the version has not judged."""
    difference: str
    """The first open difference that `reconcile` found; empty without one."""
    reconciled_at: datetime | None
    """When everything was compared last; None: never."""
    unreconciled_from: int | None
    """The first version that no comparison has reached; None: each is compared."""
    catalogue_version: int | None
    contract_version: int | None
    proposal_count: int
    """Imports that wait for a second person."""
    overlapping: tuple[Period, ...]
    """Other billed periods that share days with it."""
    statements: tuple[StateSum, ...]
    payments: tuple[StateSum, ...]
    """Of all periods: a payout pays a balance."""
    suspense: tuple[StateSum, ...]
    """What is in suspense by account (as `state`) and currency, of all periods."""
    holds: tuple[StateSum, ...]
    """Pending holds of all periods."""
    open_appeals: int
    estimates: tuple[StateSum, ...]
    """What the period would earn, by currency, from the last night; empty once it is billed."""
    estimated_at: datetime | None
    estimated_version: int | None


@dataclass(frozen=True)
class PeriodWaits:
    """How many statements of a period wait for a person."""

    period: Period
    in_review: int
    held: int
    approved: int
    """Approved and not posted."""
