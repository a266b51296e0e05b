"""The ledger transactions of a statement, exact to the last remainder. Pure.

A statement's lines begin with the remainder that was carried when it was calculated. Other statements of the payee may
have been posted since; `remainder_micros` then pays (or takes back) the whole micro that the remainders add up to, so
that always: Σ paid × 10^9 + carried = Σ owed.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from billing.books.statements import Statement
from billing.money import NANOMICROS
from billing.terms.suspense import SUSPENSE

EXPENSE = "expense:creator-revenue"
CLEARING = "clearing:payouts"
BANK = "bank"


def payable(payee_id: str) -> str:
    """Return the account that holds a payee's claim; suspense has an account that is never paid out."""
    return SUSPENSE if payee_id == SUSPENSE else f"payable:{payee_id}"


@dataclass(frozen=True)
class Entry:
    """One leg of a transaction: debit positive, credit negative."""

    account: str
    amount_micros: int


@dataclass(frozen=True)
class Chained:
    """The part of a transaction that carries a payee's remainder forward."""

    statement_id: str
    payee_sequence: int
    """1 for a payee's first transaction in a currency, then without gaps."""
    carried_nanomicros_before: int
    carried_nanomicros_after: int
    remainder_micros: int = 0
    """-1, 0 or 1: paid in addition to the lines."""


@dataclass(frozen=True)
class LedgerTransaction:
    """One transaction in one currency; its entries sum to zero."""

    idempotency_key: str
    inputs_hash: str
    """The same key with other inputs is a conflict, not a replay."""
    kind: str
    payee_id: str
    currency: str
    effective_at: datetime
    entries: tuple[Entry, ...]
    reverses: str | None = None
    """The transaction that this one undoes."""
    chained: Chained | None = None
    """None for payouts and voided holds: they carry no remainder."""

    @property
    def transaction_id(self) -> str:
        """Return 32 hex digits that are derived from the key."""
        return transaction_id_of(self.idempotency_key)


@dataclass(frozen=True)
class CarryHead:
    """The end of a payee's chain in one currency."""

    payee_sequence: int = 0
    carried_nanomicros: int = 0


def transaction_id_of(idempotency_key: str) -> str:
    """Return the id of the transaction with that key."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]


def statement_kind(statement: Statement) -> str:
    """Return the kind of a statement's transaction: of a payee, or of the suspense account."""
    return "suspense" if statement.payee_id == SUSPENSE else "statement"


def statement_key(statement: Statement) -> str:
    """Return the key under which a statement is posted, once."""
    return f"{statement_kind(statement)}:{statement.statement_id}"


def post_statement(statement: Statement, head: CarryHead) -> LedgerTransaction:
    """Return the transaction that makes a statement owed, effective at the end of its period."""
    return _chained(statement, head, statement_kind(statement), 1, statement_key(statement), None)


def reverse_statement(statement: Statement, head: CarryHead) -> LedgerTransaction:
    """Return the transaction that undoes a posted statement, effective at the end of the original period."""
    reverses = transaction_id_of(statement_key(statement))
    return _chained(statement, head, "reversal", -1, f"reversal:{statement.statement_id}", reverses)


def _chained(
    statement: Statement, head: CarryHead, kind: str, sign: int, key: str, reverses: str | None
) -> LedgerTransaction:
    owed_beside_lines = sign * (statement.carried_nanomicros_after - statement.carried_nanomicros_before)
    remainder_micros, carried = divmod(head.carried_nanomicros + owed_beside_lines, NANOMICROS)
    tax_micros, payable_micros = sign * statement.tax_micros, sign * statement.payable_micros + remainder_micros
    tax = Entry(f"withheld-tax:{statement.tax_country}", -tax_micros)
    return LedgerTransaction(
        idempotency_key=key,
        inputs_hash=statement.inputs_hash,
        kind=kind,
        payee_id=statement.payee_id,
        currency=statement.currency,
        effective_at=statement.period.end_at,
        entries=(
            Entry(EXPENSE, payable_micros + tax_micros),
            Entry(payable(statement.payee_id), -payable_micros),
            *([tax] if tax_micros else []),
        ),
        reverses=reverses,
        chained=Chained(
            statement.statement_id, head.payee_sequence + 1, head.carried_nanomicros, carried, remainder_micros
        ),
    )


@dataclass(frozen=True)
class Finalising:
    """One statement to be posted to the ledger."""

    statement: Statement
    head: CarryHead
    replaced: Statement | None = None
    """The posted statement that it replaces."""


def finalise(finalising: Finalising) -> list[LedgerTransaction]:
    """Return the transactions of a statement: a reversal of what it replaces, then itself."""
    if finalising.replaced is None:
        return [post_statement(finalising.statement, finalising.head)]
    reversal = reverse_statement(finalising.replaced, finalising.head)
    return [reversal, post_statement(finalising.statement, _head_after(reversal, finalising.head))]


def _head_after(transaction: LedgerTransaction, head: CarryHead) -> CarryHead:
    chained = transaction.chained
    return CarryHead(chained.payee_sequence, chained.carried_nanomicros_after) if chained else head
