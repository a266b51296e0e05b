"""The ports of billing to its own books: statements and their states, and the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from billing.books.runs import BillingRun
from billing.books.statements import Planned, PostedStatement
from billing.books.states import Move, Transition
from billing.money import NANOMICROS
from billing.rating.rated_lines import PayeeBill
from ingestion.contract.periods import Period


@dataclass(frozen=True)
class PayeeRange:
    """The payees that a group of bills covers: ids after `after`, up to and including `until`, in Python's order."""

    after: str = ""
    until: str | None = None
    """None: up to the last payee."""

    def __contains__(self, payee_id: str) -> bool:
        return self.after < payee_id and (self.until is None or payee_id <= self.until)


@dataclass(frozen=True)
class RestsOn:
    """The versions that the ledger's statements of a period rest on."""

    batch_version: int
    catalogue_version: int
    contract_version: int
    currency: str
    policy_by_day: Mapping[date, int] = field(default_factory=dict)
    """Event day → counting policy, where the version's manifest names it."""


@dataclass(frozen=True)
class RunTotals:
    """The totals of a run's period and of the periods before it."""

    earned_micros: int
    """Σ over the period's statements in force."""
    past_micros: tuple[int, ...]
    """Σ posted for each earlier period in the same currency, newest first."""


@dataclass(frozen=True)
class Finalised:
    """The result of one step of finalising."""

    statement_count: int = 0
    earned_micros: int = 0
    last_payee_id: str | None = None
    """Where the next step begins; None after the last one."""
    held: tuple[tuple[str, str], ...] = ()
    """Payee and reason of statements that were held instead: they would have paid a share that is already paid."""


@dataclass(frozen=True)
class LedgerTotals:
    """The totals of everything posted for statements in one currency."""

    currency: str
    payee_count: int
    transaction_count: int
    billable_views: int
    lines_micros: int
    """Σ over the lines: earned and over the cap, with the micros that remainders came to beside the lines."""
    carried_nanomicros: int
    """Σ over payees of their current carry, in nano-micros."""
    owed_nanomicros: int
    """Σ rate × quantity × share over all lines in force."""

    @property
    def difference_nanomicros(self) -> int:
        """Return owed − (lines + carried): 0, always."""
        return self.owed_nanomicros - (NANOMICROS * self.lines_micros + self.carried_nanomicros)


@dataclass(frozen=True)
class Balance:
    """The balance of an account in one currency: debit positive, credit negative."""

    account: str
    currency: str
    balance_micros: int


@dataclass(frozen=True)
class Estimate:
    """The amount that a payee would earn for an open period from the views settled so far. Not money."""

    payee_id: str
    currency: str
    earned_micros: int
    billable_views: int


class Books(Protocol):
    """Keeps statements and the append-only double-entry ledger.

    Every call is one database transaction under one lock and idempotent: after any interruption or repetition a
    statement is calculated once and posted once. Every call may raise UnavailableError.
    """

    def rests_on(self, period: Period) -> RestsOn | None:
        """Return the versions of the newest run of the period that has a statement in the ledger; None before."""

    def begin(self, run: BillingRun) -> BillingRun:
        """Store a run; return it as stored, with the approval limit that the books allow or already hold.

        Raises:
            PostingConflictError: its period shares days with another billed period, or was billed by other terms.
        """

    def restatement_number(self, run: BillingRun) -> int:
        """Return the number of a restatement of the run's period from its versions: a new one, or the existing one."""

    def calculate(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        """Store the statements of a group; `bills` are all bills of the range. Posts nothing."""

    def preview(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        """Return what `calculate` would do now; write nothing and take no lock."""

    def run_totals(self, run: BillingRun) -> RunTotals:
        """Return the totals of the run's period and of earlier periods."""

    def finalise(self, run_id: str, after: str, count_max: int) -> Finalised:
        """Post the next approved or self-approving statements of a run, by payee id after `after`.

        A linked transaction reverses the statement that is replaced, and the payee gets a notice. Restated statements
        of a period are posted all at once, after each of them is approved or voided: a share that moves from one payee
        to another moves completely.

        Raises:
            PostingConflictError: a restatement would pay a share of a video beyond the whole; nothing was posted.
        """

    def decisions(self, kind: str, places: Sequence[str]) -> Mapping[str, Transition]:
        """Return the decisions about events (`late_event`, `conflict`), with actors, by place in the log."""

    def billed_periods(self) -> list[Period]:
        """Return every period that was ever billed, by its first day."""

    def is_unfinished(self, period: Period) -> bool:
        """Return whether a run of the period stopped before it posted all it could."""

    def runs_with_approved(self) -> list[str]:
        """Return the runs with approved statements that are not posted yet."""

    def beyond_whole(self) -> list[str]:
        """Return a sentence for every video and days that are paid for more than the whole; normally none."""

    def totals(self) -> list[LedgerTotals]:
        """Return one row per currency, in its order."""

    def balances(self, *, posted_before: datetime, effective_until: datetime) -> list[Balance]:
        """Return the books as they stood at an instant, for what was effective until another."""


class StatementReader(Protocol):
    """Reads what payees, approvers and auditors are shown."""

    def statement(self, payee_id: str, period: Period, restatement_number: int | None = None) -> PostedStatement | None:
        """Return a statement with its lines; without a number, the newest that is not voided."""

    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        """Return the steps of a subject, oldest first."""


class States(Protocol):
    """Records who changed which state, when and why."""

    def move(self, kind: str, subject_id: str, move: Move) -> Transition:
        """Append a step; if the newest one is the same, by the same actor for the same reason, return that one.

        Raises:
            StateError: the step is not allowed from the subject's state, or not to this actor.
        """

    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        """Return the steps of a subject, oldest first."""


class Estimates(Protocol):
    """Keeps the estimates of open periods; the only part of the books that is replaced."""

    def replace(
        self, period: Period, estimates: Sequence[Estimate], batch_version: int, estimated_at: datetime
    ) -> None:
        """Store a period's estimates in place of the former ones."""

    def drop(self, billed: Sequence[Period]) -> None:
        """Remove the estimates of periods that are now billed."""

    def of_payee(self, payee_id: str) -> list[tuple[Period, Estimate, datetime]]:
        """Return a payee's estimates of periods that no run has begun to bill, newest first, and their instants."""


@dataclass(frozen=True)
class WaitingItem:
    """Something in the batch tables that waits for a person: an event, or a group of events."""

    subject_id: str
    """A place in the log (`partition:offset`), or the name of a group."""
    happened_at: datetime
    received_at: datetime | None = None
    event_count: int = 1
    payee_id: str = ""
    video_id: str = ""
    event_id: str = ""
    remark: str = ""


class WaitingWork(Protocol):
    """Keeps what the last night found waiting, for pages; no money and no record."""

    def replace(
        self,
        kind: str,
        items: Sequence[WaitingItem],
        waiting_count: int,
        *,
        batch_version: int,
        counted_at: datetime,
    ) -> None:
        """Keep the items of a kind in place of the former ones; `waiting_count` counts those beyond the list, too."""
