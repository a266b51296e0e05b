"""What the bank booked on the account that pays, in PostgreSQL: kept and posted."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from billing.books.postgres_statement_rows import copy_transactions
from billing.books.states import Move
from billing.errors import AcknowledgementError
from billing.payouts.account_entries import (
    STEP_OF,
    AccountReport,
    BankEntry,
    bank_transaction,
    mask,
)
from billing.payouts.judged_entries import JudgedReport, judge
from billing.payouts.payouts import RETURNED, SETTLED
from billing.payouts.postgres_payouts import answer_payment, known_payments
from billing.postgres_session import Connect, alone, copy_rows, one_transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_FIELDS = [each.name for each in fields(BankEntry)]
_COLUMNS = ", ".join(_FIELDS)
_BOOKED = f"""
    SELECT {_COLUMNS} FROM billing.bank_entries
    WHERE (account = %s AND reference = ANY (%s)) OR item_id = ANY (%s)"""
_ALL = f"SELECT {_COLUMNS} FROM billing.bank_entries ORDER BY booked_on, reference, entry_id"


@dataclass(frozen=True)
class Booked:
    """What an import of the bank's report has done."""

    judged: JudgedReport
    counts: dict[str, int]
    """Purpose → rows that are new."""


class PostgresBankEntries:
    """Keeps what the bank booked; every call is one database transaction."""

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def book(self, report: AccountReport, actor: str) -> Booked:
        """Keep and post every movement of a report. A report that came before changes nothing.

        Raises:
            AcknowledgementError: a movement cannot be kept as it is; nothing was posted.
        """
        return alone(self._connect, lambda cursor: _book(cursor, report, actor), self._sleep)

    def entries(self) -> list[BankEntry]:
        """Return all movements in the order of their days."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_ALL)
            return [BankEntry(*row) for row in cursor]


def _book(cursor: "Cursor", report: AccountReport, actor: str) -> Booked:
    # 1. judge every movement by what is known of its payment and of its reference
    references = [entry.reference for entry in report.entries]
    item_ids = [part.item_id for entry in report.entries for part in entry.parts if part.item_id]
    known = known_payments(cursor, item_ids, [entry.batch_id for entry in report.entries if entry.batch_id])
    cursor.execute(_BOOKED, (mask(report.iban), references, list(known)))
    judged = judge(report.iban, report.entries, known, [BankEntry(*row) for row in cursor])
    if judged.problems:
        raise AcknowledgementError(judged.problems)
    # 2. keep the new ones, take the steps that rest on them, and post what no step posts
    rows = ((*(getattr(row, name) for name in _FIELDS), actor) for row in judged.new)
    copy_rows(cursor, "billing.bank_entries", f"{_COLUMNS}, actor", rows)
    counts: dict[str, int] = {}
    states = {item_id: state for item_id, (_, _, state) in known.items()}
    for row in judged.new:
        step = STEP_OF.get(row.purpose)
        if step and row.item_id and (states[row.item_id], step) in (("instructed", SETTLED), (SETTLED, RETURNED)):
            move = Move(step, actor, row.reason)
            answer_payment(cursor, known[row.item_id][0], move, booked_on=row.booked_on)
            states[row.item_id] = step
        counts[row.purpose] = counts.get(row.purpose, 0) + 1
    copy_transactions(cursor, [each for row in judged.new if (each := bank_transaction(row))])
    return Booked(judged, counts)
