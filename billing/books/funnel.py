"""A period from the events that were received to what is paid out: how many come through each stage. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ingestion.contract.periods import Period

REJECTED, INVALID = "rejected", "invalid_traffic"
NOT_COUNTED = ("duplicate", "conflict", "late_review")
"""The verdicts of accepted events that are not counted; invalid traffic is taken off after them."""


@dataclass(frozen=True)
class EventStage:
    """How many events of the period come through a stage, and what the stage before had more, by verdict."""

    name: str
    events: int
    without: Mapping[str, int]


@dataclass(frozen=True)
class MoneyStages:
    """The statements of the period in one currency: of each payee the one in the ledger, else the newest."""

    currency: str
    statement_count: int
    billable_views: int
    """Summed over payees: a view of a video with several owners is in the statement of each."""
    earned_micros: int
    tax_micros: int
    payable_micros: int
    waiting_micros: int
    """Payable, and not in the ledger: calculated, in review or approved."""
    held_micros: int
    suspense_micros: int
    """In the ledger, of videos whose owner is not known."""
    due_micros: int
    """In the ledger and in no settled payout."""
    paid_micros: int
    """Covered by a settled payout."""
    restated_count: int
    restated_micros: int
    """How much more all statements in the ledger earn than those that they replaced."""


@dataclass(frozen=True)
class PayeeChange:
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
class Funnel:
    """A period in the current version and in the books."""

    period: Period
    version: int | None
    """None before the first one."""
    settled_until: datetime | None
    is_tallied: bool
    """Whether the version has a tally by day: those of earlier releases have none."""
    events: tuple[EventStage, ...]
    not_billable: Mapping[str, int]
    """Outcome that is not billable → counted views of the statements. A view is in those of all its owners."""
    money: tuple[MoneyStages, ...]
    before: Period | None
    """The last billed period that ended before this one."""
    changes: tuple[PayeeChange, ...]
    """The largest ones of each currency, by size."""


def event_stages(tally: Mapping[str, int], billable_views: int) -> tuple[EventStage, ...]:
    """Return the stages of the events; `tally`: verdict → events of the period.

    Each stage is the one before less what it is without.
    """
    received = sum(tally.values())
    accepted = received - tally.get(REJECTED, 0)
    missed = {name: tally.get(name, 0) for name in NOT_COUNTED}
    once = accepted - sum(missed.values())
    valid = once - tally.get(INVALID, 0)
    return (
        EventStage("received", received, {}),
        EventStage("accepted", accepted, {REJECTED: received - accepted}),
        EventStage("counted", once, missed),
        EventStage("valid", valid, {INVALID: once - valid}),
        EventStage("billable", billable_views, {"not_billable": valid - billable_views}),
    )
