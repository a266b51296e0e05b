"""What billing needs of its own books: statements and their states, and the ledger."""

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
    """The payees a group of bills speaks for: ids after `after`, up to and including `until`, as Python orders text."""

    after: str = ""
    until: str | None = None
    """None: to the last one."""

    def __contains__(self, payee_id: str) -> bool:
        return self.after < payee_id and (self.until is None or payee_id <= self.until)


@dataclass(frozen=True)
class RestsOn:
    """What the statements that the ledger holds of a period rest on."""

    batch_version: int
    catalogue_version: int
    contract_version: int
    currency: str
    policy_by_day: Mapping[date, int] = field(default_factory=dict)
    """Event day → counting policy, where the version's manifest names it."""


@dataclass(frozen=True)
class RunTotals:
    """What a run's period comes to, beside the periods before it."""

    earned_micros: int
    """Σ over the period's statements in force."""
    past_micros: tuple[int, ...]
    """Σ posted for each earlier period in the same currency, newest first."""


@dataclass(frozen=True)
class Finalised:
    """What one step of finalising put into the ledger."""

    statement_count: int = 0
    earned_micros: int = 0
    last_payee_id: str | None = None
    """Where the next step begins; None when there is nothing left."""
    held: tuple[tuple[str, str], ...] = ()
    """Payee and reason of statements that were held instead: they would have paid a share that is paid already."""


@dataclass(frozen=True)
class LedgerTotals:
    """All that was ever posted for statements in one currency."""

    currency: str
    payee_count: int
    transaction_count: int
    billable_views: int
    amount_micros: int
    """Σ earned, withheld tax and over the cap included."""
    carried_nanomicros: int
    """Σ over payees of what each carries now, in nano-micros."""
    owed_nanomicros: int
    """Σ rate × quantity × share over all lines in force."""

    @property
    def difference_nanomicros(self) -> int:
        """Owed − (paid + carried): 0, always."""
        return self.owed_nanomicros - (NANOMICROS * self.amount_micros + self.carried_nanomicros)


@dataclass(frozen=True)
class Balance:
    """What stands on an account in one currency: debit positive, credit negative."""

    account: str
    currency: str
    balance_micros: int


@dataclass(frozen=True)
class Estimate:
    """What a payee would earn of an open period from what is settled by now. No money."""

    payee_id: str
    currency: str
    earned_micros: int
    billable_views: int


class Books(Protocol):
    """Statements and the append-only double-entry ledger.

    Every call is one database transaction under one lock and safe to repeat after any interruption: a statement is
    calculated once and posted once, whoever runs it and however often. Every call may raise UnavailableError.
    """

    def rests_on(self, period: Period) -> RestsOn | None:
        """Return what the newest run of the period rests on that the ledger holds a statement of; None before."""

    def begin(self, run: BillingRun) -> BillingRun:
        """Remember a run; return it as it is stored: with the approval limit that the books allow, or remember.

        Raises:
            PostingConflictError: its period shares days with another billed period, or was billed by other terms.
        """

    def restatement_number(self, run: BillingRun) -> int:
        """Return the number that a restatement of the run's period from its versions has: a new one, or its old one."""

    def calculate(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        """Store the statements of a group; `bills` are all bills of the range. Nothing is posted by it."""

    def preview(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        """Return what `calculate` would do now; writes nothing and waits for nobody."""

    def run_totals(self, run: BillingRun) -> RunTotals:
        """Return what the run's period comes to and what periods before it came to."""

    def finalise(self, run_id: str, after: str, count_max: int) -> Finalised:
        """Post the next statements of a run that approve themselves or were approved, by payee id after `after`.

        What a statement replaces is reversed by a linked transaction, and the payee gets a notice. Restated statements
        of a period are posted all at once, and not before each of them is approved or voided: a share that goes from
        one payee to another goes whole.

        Raises:
            PostingConflictError: a restatement would pay a share of a video beyond the whole; nothing was posted.
        """

    def decisions(self, kind: str, places: Sequence[str]) -> Mapping[str, Transition]:
        """Return what was decided about events (`late_event`, `conflict`), and by whom, by their place in the log."""

    def billed_periods(self) -> list[Period]:
        """Return every period that was ever billed, by its first day."""

    def is_unfinished(self, period: Period) -> bool:
        """Return whether a run of the period was ended before it posted all it could."""

    def runs_with_approved(self) -> list[str]:
        """Return the runs that have statements which were approved and are not posted yet."""

    def beyond_whole(self) -> list[str]:
        """Return a sentence for every video and days whose owners are paid for more than the whole of it: none."""

    def totals(self) -> list[LedgerTotals]:
        """Return one row per currency, in its order."""

    def balances(self, *, posted_before: datetime, effective_until: datetime) -> list[Balance]:
        """Return the books as they stood at an instant, of what was effective until another."""


class StatementReader(Protocol):
    """The read side: what payees, approvers and auditors are shown."""

    def statement(self, payee_id: str, period: Period, restatement_number: int | None = None) -> PostedStatement | None:
        """Return a statement with its lines; the newest that is not voided unless a number is given."""

    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        """Return the steps of a subject, oldest first."""


class States(Protocol):
    """Who moved what where, when and why."""

    def move(self, kind: str, subject_id: str, move: Move) -> Transition:
        """Append a step. The newest one again, by the same actor and with the same reason, is returned as it stands.

        Raises:
            StateError: the step is not allowed from where the subject stands, or not to this actor.
        """

    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        """Return the steps of a subject, oldest first."""


class Estimates(Protocol):
    """What open periods come to so far; the one thing in the books that is replaced."""

    def replace(
        self, period: Period, estimates: Sequence[Estimate], batch_version: int, estimated_at: datetime
    ) -> None:
        """Store a period's estimates in place of those before."""

    def drop(self, billed: Sequence[Period]) -> None:
        """Remove the estimates of periods that are billed now."""

    def of_payee(self, payee_id: str) -> list[tuple[Period, Estimate, datetime]]:
        """Return a payee's estimates with when they were made, newest period first."""
