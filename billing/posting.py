"""Posting: what a run wants to bill, and the ledger transactions that follow from it. Pure.

A payee is billed once per period: the idempotency key is (period, payee). The inputs hash covers everything the
amount rests on (lines, rates, evidence), but no version numbers: a later version that changes nothing in the period
is a replay, one that changes something is a conflict and never a silent correction.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.errors import PostingConflictError
from billing.money import amount_text
from billing.rated_lines import PayeeBill, SettledBill, SettledLine, settle_bill
from ingestion.contract.periods import Period

EXPENSE_ACCOUNT = "expense:creator-revenue"


@dataclass(frozen=True)
class BillingRun:
    """One attempt to bill a period from named versions; the same inputs give the same `run_id`."""

    period: Period
    batch_version: int
    catalogue_version: int
    contract_version: int
    waived: Mapping[str, str]
    """Kind of precondition → who waived it."""
    unattributed_views: int
    """Billable views of videos without a payee: not paid to anybody, and waived by name when not 0."""
    calculated_at: datetime

    @property
    def run_id(self) -> str:
        """32 hex digits that follow from the period, the three versions and the waivers alone."""
        versions = [self.batch_version, self.catalogue_version, self.contract_version]
        inputs = json.dumps([str(self.period), *versions, sorted(self.waived.items())])
        return hashlib.sha256(inputs.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """One leg of a transaction: debit positive, credit negative."""

    account: str
    amount_micros: int


@dataclass(frozen=True)
class LedgerTransaction:
    """One payee's transaction for one period; its entries sum to zero."""

    transaction_id: str
    idempotency_key: str
    inputs_hash: str
    run_id: str
    payee_id: str
    payee_sequence: int
    """1 for a payee's first transaction in a currency, then without gaps: the chain along which the remainder goes."""
    currency: str
    carried_nanomicros_before: int
    carried_nanomicros_after: int
    over_cap_micros: int
    """What the contract's cap took away of the lines' sum."""
    outcomes: Mapping[str, int]
    """Outcome → events of the payee's videos in the period; see `billing.view_chain`."""
    effective_at: datetime
    entries: tuple[Entry, ...]
    lines: tuple[SettledLine, ...]

    @property
    def amount_micros(self) -> int:
        """What the payee earned by this transaction, withheld tax included."""
        return sum(line.amount_micros for line in self.lines) - self.over_cap_micros


@dataclass(frozen=True)
class PostedBefore:
    """What the ledger already holds for a payee and the run's period."""

    transaction_id: str
    run_id: str
    payee_id: str
    currency: str
    inputs_hash: str
    amount_micros: int
    carried_nanomicros_after: int


@dataclass(frozen=True)
class CarryHead:
    """The end of a payee's chain in one currency."""

    payee_sequence: int = 0
    carried_nanomicros: int = 0


@dataclass(frozen=True)
class LedgerState:
    """What a ledger holds that matters to one run; read under its lock."""

    posted: Sequence[PostedBefore]
    """Transactions of exactly the run's period."""
    overlapping: Sequence[Period]
    """Other billed periods that share days with the run's period."""
    heads: Mapping[str, CarryHead]
    """Payee id → end of the chain in the run's currency; absent for new payees."""


@dataclass(frozen=True)
class PostingResult:
    """What a run posted now, and what it found posted before with the same inputs."""

    run_id: str
    posted: tuple[LedgerTransaction, ...]
    replayed: tuple[PostedBefore, ...]

    @property
    def amount_micros(self) -> int:
        """Σ over all payees of the period, posted now or before."""
        return sum(each.amount_micros for each in self.posted) + sum(each.amount_micros for each in self.replayed)

    @property
    def carried_nanomicros(self) -> int:
        """Σ over the same payees of what each carried on at the end of this period."""
        posted = sum(each.carried_nanomicros_after for each in self.posted)
        return posted + sum(each.carried_nanomicros_after for each in self.replayed)


@dataclass(frozen=True)
class Statement:
    """One posted transaction, with the versions it was calculated from."""

    period: Period
    transaction: LedgerTransaction
    batch_version: int
    catalogue_version: int
    contract_version: int
    calculated_at: datetime
    posted_at: datetime


def idempotency_key(period: Period, payee_id: str) -> str:
    """Return the key under which a payee's bill for a period can be posted once."""
    return f"bill:{period}:{payee_id}"


def plan_posting(run: BillingRun, bills: Iterable[PayeeBill], state: LedgerState) -> PostingResult:
    """Return the transactions to post for bills that are new, beside those that were posted before.

    Raises:
        PostingConflictError: see `billing.ports.Ledger.post`.
    """
    bills = sorted(bills, key=lambda bill: bill.payee_id)
    posted = {each.payee_id: each for each in state.posted}
    if conflicts := _conflicts(run, {bill.payee_id: bill for bill in bills}, posted, state.overlapping):
        raise PostingConflictError(conflicts)
    new = [bill for bill in bills if bill.payee_id not in posted]
    transactions = tuple(compose(run, bill, state.heads.get(bill.payee_id, CarryHead())) for bill in new)
    return PostingResult(run.run_id, transactions, tuple(posted[payee_id] for payee_id in sorted(posted)))


def compose(run: BillingRun, bill: PayeeBill, head: CarryHead) -> LedgerTransaction:
    """Return the transaction for a bill; the remainder goes from line to line and on to the payee's next bill."""
    settled = settle_bill(bill, head.carried_nanomicros)
    key = idempotency_key(run.period, bill.payee_id)
    return LedgerTransaction(
        transaction_id=hashlib.sha256(key.encode()).hexdigest()[:32],
        idempotency_key=key,
        inputs_hash=bill.inputs_hash(run.period),
        run_id=run.run_id,
        payee_id=bill.payee_id,
        payee_sequence=head.payee_sequence + 1,
        currency=bill.currency,
        carried_nanomicros_before=head.carried_nanomicros,
        carried_nanomicros_after=settled.carried_nanomicros,
        over_cap_micros=settled.over_cap_micros,
        outcomes=bill.outcomes,
        effective_at=run.period.end_at,
        entries=_entries(bill, settled),
        lines=settled.lines,
    )


def _entries(bill: PayeeBill, settled: SettledBill) -> tuple[Entry, ...]:
    tax = Entry(f"withheld-tax:{bill.terms.tax_country}", -settled.tax_micros)
    return (
        Entry(EXPENSE_ACCOUNT, settled.amount_micros),
        Entry(f"payable:{bill.payee_id}", -settled.payable_micros),
        *([tax] if settled.tax_micros else []),
    )


def _conflicts(
    run: BillingRun, bills: Mapping[str, PayeeBill], posted: Mapping[str, PostedBefore], overlapping: Iterable[Period]
) -> list[str]:
    found = [
        f"period {run.period} shares days with the billed period {other}: the same views would be paid twice; "
        f"bill the days that are left, or the same period again"
        for other in sorted(overlapping, key=str)
    ]
    for payee_id, before in sorted(posted.items()):
        bill = bills.get(payee_id)
        if bill is None or bill.inputs_hash(run.period) != before.inputs_hash:
            now = "has no billable views in it now" if bill is None else "now has other views or rates"
            found.append(
                f"payee {payee_id} was billed {amount_text(before.amount_micros, before.currency)} for period "
                f"{run.period} in run {before.run_id} and {now}; a posted bill is never changed: it needs a restatement"
            )
    return found
