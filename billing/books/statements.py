"""Statements: the amount owed to one payee for one period, and the statement that a run makes of a bill. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.books.bounds import PAST_MAX, PastStatement, statement_out_of_bounds
from billing.books.runs import BillingRun
from billing.books.states import POSTED, RUN, Move
from billing.rating.rated_lines import PayeeBill, SettledLine, change_by_cause, settle_bill
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted


@dataclass(frozen=True)
class Statement:
    """The sums of a statement: Σ lines = over the cap + tax + payable. Its lines are stored separately."""

    statement_id: str
    run_id: str
    payee_id: str
    period: Period
    restatement_number: int
    """0 for the first of a payee and period; each later one replaces the one before."""
    supersedes: str | None
    """The statement that this one replaces."""
    currency: str
    inputs_hash: str
    """Hash over everything the amount rests on; without version numbers."""
    carried_nanomicros_before: int
    carried_nanomicros_after: int
    over_cap_micros: int
    tax_country: str
    tax_micros: int
    payable_micros: int
    billable_views: int
    line_count: int
    outcomes: Mapping[str, int]
    """Outcome → events of the payee's videos in the period; see `billing.rating.view_chain`."""
    causes: Mapping[str, int] | None = None
    """For a restatement: cause → what the payee earns more (or less) by it than was posted."""

    @property
    def earned_micros(self) -> int:
        """Return what the payee earned, including withheld tax."""
        return self.payable_micros + self.tax_micros


@dataclass(frozen=True)
class HeldStatement:
    """A statement that a bound keeps from being paid, and the instant since when."""

    statement_id: str
    payee_id: str
    period: Period
    held_at: datetime
    reason: str

    def overdue_text(self, now: datetime) -> str:
        """Return a sentence that says what has waited too long, and what to do about it."""
        who = f"--period {self.period} --payee {self.payee_id}"
        return (
            f"payee {self.payee_id}, period {self.period}: statement {self.statement_id} is held since "
            f"{self.held_at:%Y-%m-%d} ({counted((now - self.held_at).days, 'day')}): {self.reason}; decide: "
            f"`billing statements review {who}` and then `billing statements approve {who}`, or "
            f"`billing statements void {who}`"
        )


@dataclass(frozen=True)
class PostedStatement:
    """A statement as read back: with its lines, its versions and its state."""

    statement: Statement
    lines: tuple[SettledLine, ...]
    state: str
    batch_version: int
    catalogue_version: int
    contract_version: int
    calculated_at: datetime
    posted_at: datetime | None
    """When it was posted to the ledger; None while it waits."""


@dataclass(frozen=True)
class PayeeState:
    """The books' content for a payee when a run reaches it."""

    newest: Statement | None = None
    """The newest statement of the run's period that is neither voided nor superseded; else the newest of all."""
    state: str = ""
    """The state of that statement."""
    posted: Statement | None = None
    """The statement of the run's period that the ledger holds."""
    statement_count: int = 0
    """All statements of the run's period, in any state."""
    carried_nanomicros: int = 0
    """The end of the payee's chain in the ledger."""
    past: tuple[PastStatement, ...] = ()
    """Posted statements of earlier periods in the run's currency, newest first."""


def payee_state(
    statements: Sequence[tuple[Statement, str]], carried_nanomicros: int, past: Sequence[PastStatement]
) -> PayeeState:
    """Return the state derived from all statements of a payee and period, oldest first, each with its state."""
    in_force = [each for each in statements if each[1] not in ("voided", "superseded")] or statements
    newest, state = in_force[-1] if in_force else (None, "")
    posted = [statement for statement, state in statements if state in POSTED]
    return PayeeState(
        newest, state, posted[-1] if posted else None, len(statements), carried_nanomicros, tuple(past[:PAST_MAX])
    )


@dataclass(frozen=True)
class Planned:
    """The result of a run for one payee: a new statement and its first steps, or the existing one."""

    payee_id: str
    statement: Statement
    state: str
    """The state of the statement after its moves."""
    lines: tuple[SettledLine, ...] = ()
    moves: tuple[Move, ...] = ()
    """Empty if the statement already existed."""
    replaced: Statement | None = None
    """The statement that it replaces and that was never posted."""
    posted: Statement | None = None
    """What the ledger holds for this payee and period until the new statement is finalised."""
    is_changed: bool = False
    """Whether the ledger holds another statement for this payee and period: only a restatement changes it."""

    @property
    def delta_micros(self) -> int:
        """Return what the payee earns more (or less) by the new statement than by the posted one."""
        return self.statement.earned_micros - (self.posted.earned_micros if self.posted else 0)

    @property
    def is_new(self) -> bool:
        """Return whether this run makes the statement."""
        return bool(self.moves)


def statement_id_of(period: Period, payee_id: str, restatement_number: int) -> str:
    """Return the id of a statement, derived from its key: 32 hex digits."""
    return hashlib.sha256(f"statement:{period}:{payee_id}:{restatement_number}".encode()).hexdigest()[:32]


def plan_payee(run: BillingRun, bill: PayeeBill, held: PayeeState) -> Planned | None:
    """Return what a run does with a payee's bill; None for a payee without views now and before.

    A bill with the inputs of the newest statement is that statement again. Another bill replaces a statement that is
    not posted yet; only a restatement replaces a posted one.
    """
    newest, inputs_hash = held.newest, bill.inputs_hash(run.period)
    if newest is None and not bill.lines and not (held.past and held.past[0].billable_views):
        return None
    if newest is not None and newest.inputs_hash == inputs_hash:
        return Planned(bill.payee_id, newest, state=held.state)
    if held.posted is not None and run.kind == "bill":
        return Planned(bill.payee_id, held.posted, state="finalised", is_changed=held.posted.inputs_hash != inputs_hash)
    statement, lines = _calculated(run, bill, held, inputs_hash)
    moves = _moves(run, statement, held)
    replaced = newest if newest is not None and held.state not in (*POSTED, "superseded") else None
    return Planned(bill.payee_id, statement, moves[-1].to_state, lines, moves, replaced, held.posted)


def _calculated(
    run: BillingRun, bill: PayeeBill, held: PayeeState, inputs_hash: str
) -> tuple[Statement, tuple[SettledLine, ...]]:
    # A statement that replaces a posted one begins with the same remainder as the posted one.
    carried = held.posted.carried_nanomicros_before if held.posted else held.carried_nanomicros
    settled = settle_bill(bill, carried)
    number = held.statement_count
    causes = None
    if run.kind == "restatement":
        before_micros = held.posted.earned_micros if held.posted else 0
        causes = change_by_cause(bill, carried_nanomicros=carried, before_micros=before_micros)
    statement = Statement(
        statement_id=statement_id_of(run.period, bill.payee_id, number),
        run_id=run.run_id,
        payee_id=bill.payee_id,
        period=run.period,
        restatement_number=number,
        supersedes=statement_id_of(run.period, bill.payee_id, number - 1) if number else None,
        currency=bill.currency,
        inputs_hash=inputs_hash,
        carried_nanomicros_before=carried,
        carried_nanomicros_after=settled.carried_nanomicros,
        over_cap_micros=settled.over_cap_micros,
        tax_country=bill.terms.tax_country,
        tax_micros=settled.tax_micros,
        payable_micros=settled.payable_micros,
        billable_views=bill.billable_views,
        line_count=len(bill.lines),
        outcomes=bill.outcomes,
        causes=causes,
    )
    return statement, settled.lines


def _moves(run: BillingRun, statement: Statement, held: PayeeState) -> tuple[Move, ...]:
    """Return the first steps; a statement that ends at `calculated` is within all bounds and approves itself later."""
    calculated = Move("calculated", RUN)
    if run.kind == "restatement":
        return (calculated, Move("in_review", RUN, f"restatement {run.restatement_number}: {run.cause}"))
    if reasons := _out_of_bounds(run, statement, held):
        return (calculated, Move("held", RUN, "; ".join(reasons)))
    if held.newest is not None and held.state != "calculated":  # one that a killed run left approves itself again
        return (calculated, Move("in_review", RUN, f"replaces a statement that was {held.state}"))
    if statement.earned_micros > run.approval_limit_micros:
        return (calculated, Move("in_review", RUN, "above the approval limit"))
    return (calculated,)


def _out_of_bounds(run: BillingRun, statement: Statement, held: PayeeState) -> list[str]:
    if statement.payee_id == SUSPENSE:
        return []  # nobody is paid by it
    return statement_out_of_bounds(
        run.bounds,
        earned_micros=statement.earned_micros,
        billable_views=statement.billable_views,
        past=held.past,
        currency=statement.currency,
    )


def plan_group(run: BillingRun, bills: Sequence[PayeeBill], held: Mapping[str, PayeeState]) -> list[Planned]:
    """Return the plan for each payee that has a bill or is known to the books, by payee id.

    `held` has an entry for every payee of the group's range of ids that the books know.
    """
    by_payee = {bill.payee_id: bill for bill in bills}
    plans = (
        plan_payee(
            run, by_payee.get(payee_id) or PayeeBill(payee_id, run.currency, ()), held.get(payee_id, PayeeState())
        )
        for payee_id in sorted(by_payee.keys() | held.keys())
    )
    return [plan for plan in plans if plan is not None]
