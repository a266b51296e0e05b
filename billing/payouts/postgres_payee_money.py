"""What a payee is owed and was paid, for the payee: from the ledger, the payouts and masked accounts."""

from dataclasses import dataclass
from datetime import date

from billing.books.postgres_statement_rows import IS_PENDING_HOLD
from billing.postgres_session import Connect, one_transaction

PAYMENTS_MAX = 100
_PARTS = """
    SELECT t.currency, t.kind, -sum(e.amount_micros)::bigint, count(*)
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
    WHERE t.payee_id = %(payee)s AND e.account = 'payable:' || t.payee_id
    GROUP BY t.currency, t.kind ORDER BY t.currency, t.kind"""
HELD_OF_PAYEE = f"""
    SELECT h.currency, sum(h.amount_micros)::bigint FROM billing.holds h
    WHERE h.payee_id = %(payee)s AND {IS_PENDING_HOLD}
    GROUP BY h.currency"""
PAYMENTS_OF_PAYEE = """
    SELECT item_id, batch_id, currency, amount_micros, execution_on, account, state, batch_state, booked_on
    FROM billing.shown_payouts WHERE payee_id = %(payee)s ORDER BY execution_on DESC, batch_id DESC LIMIT %(most)s"""
_ACCOUNT = "SELECT account FROM billing.shown_accounts WHERE payee_id = %(payee)s"


@dataclass(frozen=True)
class BalancePart:
    """What one kind of transaction added to a payee's balance in one currency."""

    currency: str
    kind: str
    amount_micros: int
    """Owed: positive."""
    transaction_count: int


@dataclass(frozen=True)
class PaymentToPayee:
    """One payment of a batch; `item_id` is the reference on the payee's bank statement."""

    item_id: str
    batch_id: str
    currency: str
    amount_micros: int
    execution_on: date
    account: str
    """The country and the last four characters."""
    state: str
    batch_state: str
    booked_on: date | None
    """The day on which the bank booked it, if its statement is imported."""


@dataclass(frozen=True)
class MoneyOfPayee:
    """The state of a payee's money at one instant."""

    parts: tuple[BalancePart, ...]
    """The balances are their sums."""
    held: dict[str, int]
    """Currency → the part of the balance that is on hold."""
    payments: tuple[PaymentToPayee, ...]
    """The newest first, at most 100."""
    account: str | None
    """The masked account that is in force."""


def money_of_payee(connect: Connect, payee_id: str) -> MoneyOfPayee:
    """Return what a payee is owed and was paid, all of one instant."""
    wanted = {"payee": payee_id, "most": PAYMENTS_MAX}
    with one_transaction(connect) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_PARTS, wanted)
        parts = tuple(BalancePart(*row) for row in cursor)
        cursor.execute(HELD_OF_PAYEE, wanted)
        held = dict(cursor.fetchall())
        cursor.execute(PAYMENTS_OF_PAYEE, wanted)
        payments = tuple(PaymentToPayee(*row) for row in cursor)
        cursor.execute(_ACCOUNT, wanted)
        row = cursor.fetchone()
    return MoneyOfPayee(parts, held, payments, row[0] if row else None)
