"""Payout batches in PostgreSQL: created from what is owed, acknowledged, and compared with the ledger."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from time import sleep
from typing import TYPE_CHECKING

from billing.books.postgres_causes import posting_problems
from billing.books.postgres_statement_rows import (
    IS_PENDING_HOLD,
    append_steps,
    copy_transactions,
    copy_transitions,
)
from billing.books.postgres_states import append_step
from billing.books.states import OPEN, Move
from billing.errors import AcknowledgementError
from billing.payouts.answers import Answer, check_acknowledgements, of_each_payment
from billing.payouts.bank_data import BankAccount
from billing.payouts.payouts import (
    EXECUTED,
    RETURNED,
    SETTLED,
    UNSENT,
    VOIDED,
    Payable,
    PayoutBatch,
    PayoutItem,
    expected_balances,
    payout_transaction,
    plan_items,
)
from billing.payouts.postgres_bank_accounts import store_accounts
from billing.postgres_session import Connect, alone, copy_rows, one_transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

MinimumOf = Callable[[str], int]
"""Payee → the smallest amount that is paid out to it, in micros."""
Check = Callable[[PayoutBatch], object]
"""Raises FileRefusedError for a batch whose file no bank would accept."""
Planned = tuple[list[PayoutItem], list[tuple[str, str]]]
"""The payments of a batch, and payee and reason of those left out."""

_PAYABLES = f"""
    SELECT t.payee_id, -sum(e.amount_micros)::bigint,
           coalesce((SELECT sum(amount_micros) FROM billing.holds h
                     WHERE h.payee_id = t.payee_id AND h.currency = %(currency)s AND {IS_PENDING_HOLD}), 0)::bigint,
           a.account_version, a.holder_name, a.iban, a.bic
    FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
    LEFT JOIN billing.bank_accounts_in_force a USING (payee_id)
    WHERE t.currency = %(currency)s AND e.account = 'payable:' || t.payee_id
    GROUP BY t.payee_id, a.account_version, a.holder_name, a.iban, a.bic
    HAVING sum(e.amount_micros) <> 0 ORDER BY t.payee_id COLLATE "C" """
_COUNT_BATCHES = "SELECT count(*) FROM billing.payout_batches WHERE currency = %s AND execution_on = %s"
_INSERT_BATCH = """
    INSERT INTO billing.payout_batches (batch_id, currency, execution_on, actor) VALUES (%s, %s, %s, %s)"""
_BATCH = "SELECT batch_id, currency, execution_on, created_at FROM billing.payout_batches WHERE batch_id = %s"
_ITEMS = """
    SELECT i.item_id, i.batch_id, i.payee_id, i.account_version, i.amount_micros, a.holder_name, a.iban, a.bic
    FROM billing.payout_items i JOIN billing.bank_accounts a USING (payee_id, account_version)
    WHERE i.batch_id = %s ORDER BY i.payee_id COLLATE "C" """
_KNOWN = f"""
    SELECT i.item_id, i.batch_id, i.payee_id, i.account_version, i.amount_micros, b.currency,
           CASE WHEN of_batch.state IN ('written', '{VOIDED}') THEN c.state ELSE '{UNSENT}' END
    FROM billing.payout_items i JOIN billing.payout_batches b USING (batch_id)
    JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = i.item_id
    JOIN billing.current_states of_batch ON of_batch.subject_kind = 'payout_batch' AND of_batch.subject_id = i.batch_id
    WHERE i.item_id = ANY (%s) OR i.batch_id = ANY (%s)"""
_COVERED = """
    SELECT s.statement_id FROM billing.statements s JOIN billing.transactions t USING (statement_id)
    JOIN billing.current_states c ON c.subject_kind = 'statement' AND c.subject_id = s.statement_id
    WHERE s.payee_id = %s AND s.currency = %s AND t.kind = 'statement' AND t.posted_at <= %s
      AND c.state = 'finalised'"""
_POSTED = """
    SELECT i.item_id, i.batch_id, i.payee_id, i.amount_micros, b.currency, c.state,
           coalesce(sum(e.amount_micros) FILTER (WHERE e.account = 'payable:' || i.payee_id), 0)::bigint,
           coalesce(sum(e.amount_micros) FILTER (WHERE e.account = 'clearing:payouts'), 0)::bigint,
           coalesce(sum(e.amount_micros) FILTER (WHERE e.account = 'bank'), 0)::bigint
    FROM billing.payout_items i JOIN billing.payout_batches b USING (batch_id)
    JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = i.item_id
    LEFT JOIN billing.transactions t ON t.currency = b.currency AND t.idempotency_key IN (
        'payout:' || i.item_id, 'payout_settled:' || i.item_id, 'payout_rejected:' || i.item_id,
        'payout_returned:' || i.item_id, 'payout_voided:' || i.item_id)
    LEFT JOIN billing.entries e USING (transaction_id)
    WHERE %(batch)s IS NULL OR i.batch_id = %(batch)s
    GROUP BY i.item_id, i.batch_id, i.payee_id, i.amount_micros, b.currency, c.state
    ORDER BY i.batch_id, i.payee_id COLLATE "C" """


class PostgresPayouts:
    """Bank accounts, payout batches and acknowledgements; every call is one database transaction."""

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def import_accounts(self, accounts: Sequence[BankAccount], actor: str) -> int:
        """Store the new and changed accounts, each as its next version; return how many.

        Each waits until a second person puts it in force.
        """
        return alone(self._connect, lambda cursor: store_accounts(cursor, accounts, actor), self._sleep)

    def create_batch(
        self, currency: str, execution_on: date, minimum_of: MinimumOf, actor: str, *, check: Check | None = None
    ) -> Planned:
        """Instruct what is owed in a currency; return the payments of the new batch, and who is left out and why.

        Instructed amounts leave the payee's balance at once, so they can never be instructed twice. With a `check` of
        the file, the batch is for SEPA and is made only if its file can be written.

        Raises:
            DatabaseRefusedError: the execution day is in the past, or too far ahead.
        """

        def work(cursor: "Cursor") -> Planned:
            planned = _plan(cursor, currency, execution_on, minimum_of=minimum_of, check=check)
            _instruct(cursor, planned[0], currency, execution_on, actor)
            return planned

        return alone(self._connect, work, self._sleep)

    def preview(
        self, currency: str, execution_on: date, minimum_of: MinimumOf, *, check: Check | None = None
    ) -> Planned:
        """Return what `create_batch` would do now."""
        with one_transaction(self._connect) as cursor:
            return _plan(cursor, currency, execution_on, minimum_of=minimum_of, check=check)

    def batch(self, batch_id: str) -> PayoutBatch | None:
        """Return a batch with its accounts; None if there is no such batch."""
        with one_transaction(self._connect) as cursor:
            return read_batch(cursor, batch_id)

    def acknowledge(self, answer: Answer, actor: str) -> dict[str, int]:
        """Post the bank's answers; return outcome → newly reported payments. The same file again changes nothing.

        Raises:
            AcknowledgementError: a line differs from the ledger; nothing was posted.
        """
        return alone(self._connect, lambda cursor: _acknowledge(cursor, answer, actor), self._sleep)

    def differences(self, batch_id: str | None) -> list[str]:
        """Return a sentence for each payment of a batch (or of all) that differs from its entries.

        Also return one for each transaction of the ledger that has no cause, of any batch.
        """
        found = []
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(_POSTED, {"batch": batch_id})
            for item_id, batch, payee_id, amount_micros, currency, state, *posted in cursor:
                expected = expected_balances(state, amount_micros)
                for (account, wanted), actual in zip(expected.items(), posted, strict=True):
                    if wanted != actual:
                        found.append(
                            f"batch {batch}, payee {payee_id}, payment {item_id} ({state}): {account} should hold "
                            f"{wanted} micros {currency} and holds {actual}: {actual - wanted:+}"
                        )
            return found + posting_problems(cursor)


def read_batch(cursor: "Cursor", batch_id: str) -> PayoutBatch | None:
    """Return a batch with its accounts, inside a database transaction; None if there is no such batch."""
    cursor.execute(_BATCH, (batch_id,))
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(_ITEMS, (batch_id,))
    rows = cursor.fetchall()
    items = tuple(PayoutItem(*each[:5]) for each in rows)
    accounts = {each[2]: BankAccount(each[2], *each[5:]) for each in rows}
    return PayoutBatch(row[0], row[1], row[2], row[3], items, accounts)


def _payables(cursor: "Cursor", currency: str, minimum_of: MinimumOf) -> list[Payable]:
    cursor.execute(_PAYABLES, {"currency": currency})
    return [
        Payable(
            payee_id,
            balance_micros=balance,
            held_micros=held,
            minimum_micros=minimum_of(payee_id),
            account=BankAccount(payee_id, *account) if version else None,
            account_version=version or 0,
        )
        for payee_id, balance, held, version, *account in cursor
    ]


def _plan(
    cursor: "Cursor", currency: str, execution_on: date, *, minimum_of: MinimumOf, check: Check | None
) -> Planned:
    """Return what is owed, minus what is held, rounded down to what a bank can pay; and who is left out."""
    cursor.execute(_COUNT_BATCHES, (currency, execution_on))
    (before,) = cursor.fetchone() or (0,)
    batch_id = f"VL-{currency}-{execution_on:%Y%m%d}-{before + 1}"
    payables = _payables(cursor, currency, minimum_of)
    items, left = plan_items(batch_id, currency, payables, by_sepa=check is not None)
    if items and check:
        accounts = {each.payee_id: each.account for each in payables if each.account}
        paid = {each.payee_id: accounts[each.payee_id] for each in items}
        check(PayoutBatch(batch_id, currency, execution_on, datetime.now(UTC), tuple(items), paid))
    return items, left


def _instruct(cursor: "Cursor", items: Sequence[PayoutItem], currency: str, execution_on: date, actor: str) -> None:
    """Store the batch, its payments and their first step, and move the money from the balances to clearing."""
    if not items:
        return
    cursor.execute(_INSERT_BATCH, (items[0].batch_id, currency, execution_on, actor))
    append_step(cursor, "payout_batch", items[0].batch_id, Move("made", actor))
    rows = ((each.item_id, each.batch_id, each.payee_id, each.account_version, each.amount_micros) for each in items)
    copy_rows(cursor, "billing.payout_items", "item_id, batch_id, payee_id, account_version, amount_micros", rows)
    copy_transitions(cursor, (("payout", each.item_id, 0, OPEN, "instructed", actor, "") for each in items))
    effective_at = start_of(execution_on)
    copy_transactions(cursor, [payout_transaction("payout", each, currency, effective_at) for each in items])


def known_payments(
    cursor: "Cursor", item_ids: Sequence[str], batch_ids: Sequence[str]
) -> dict[str, tuple[PayoutItem, str, str]]:
    """Return payments, and those of batches, each with its currency and state, inside a database transaction."""
    cursor.execute(_KNOWN, (list(item_ids), list(batch_ids)))
    return {row[0]: (PayoutItem(*row[:5]), row[5], row[6]) for row in cursor}


def answer_payment(cursor: "Cursor", item: PayoutItem, move: Move, *, booked_on: date | None = None) -> None:
    """Append what became of a payment at the bank, and post its money, inside a database transaction.

    The money moves on the day that the bank booked it on, if one is known: not before the batch was made, nor later
    than now and the execution day.
    """
    cursor.execute(_BATCH, (item.batch_id,))
    _, currency, execution_on, created_at = cursor.fetchone() or ()
    append_step(cursor, "payout", item.item_id, move)
    paid_at = start_of(execution_on)
    latest = max(datetime.now(UTC), paid_at)
    effective_at = latest if move.to_state == RETURNED else paid_at
    if booked_on is not None:
        effective_at = min(max(start_of(booked_on), min(created_at, paid_at)), latest)
    copy_transactions(cursor, [payout_transaction(f"payout_{move.to_state}", item, currency, effective_at)])
    if move.to_state == SETTLED:
        cursor.execute(_COVERED, (item.payee_id, currency, created_at))
        append_steps(cursor, [row[0] for row in cursor], Move("paid", move.actor, f"payout {item.item_id}"))


def _acknowledge(cursor: "Cursor", answer: Answer, actor: str) -> dict[str, int]:
    # 1. compare every line with the ledger; one that does not match refuses the whole file
    item_ids, batch_ids = ([each.item_id for each in answer.payments], [each.batch_id for each in answer.batches])
    known = known_payments(cursor, item_ids, batch_ids)
    acknowledgements, problems = of_each_payment(answer, known)
    if problems := problems + check_acknowledgements(acknowledgements, known):
        raise AcknowledgementError(problems)
    # 2. append the step and post the money of each newly reported payment
    counts: dict[str, int] = {}
    for each in {each.item_id: each for each in acknowledgements}.values():
        item, _, state = known[each.item_id]
        if each.outcome in (state, EXECUTED) or (state, each.outcome) == (RETURNED, SETTLED):
            continue
        answer_payment(cursor, item, Move(each.outcome, actor, each.reason))
        counts[each.outcome] = counts.get(each.outcome, 0) + 1
    return counts


def start_of(day: date) -> datetime:
    """Return the instant at which a day begins in UTC: the effective time of a payment of that day."""
    return datetime.combine(day, time(), UTC)
