"""Holds and appeals in PostgreSQL: amounts that are owed and not paid yet, and payees' objections."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from billing.books.postgres_statement_rows import IS_PENDING_HOLD, copy_transactions
from billing.books.postgres_states import append_step, stored_step
from billing.books.posting import EXPENSE, Entry, LedgerTransaction, payable
from billing.books.states import RUN, Move
from billing.errors import DatabaseRefusedError, StateError, UnknownNameError
from billing.money import amount_text
from billing.postgres_answered_requests import answered, remember
from billing.postgres_session import Connect, alone, one_transaction
from ingestion.contract.refusals import DatabaseRule
from ingestion.contract.requests import OpenAppealError, RequestKey

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_INSERT_HOLD = """
    INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING hold_id"""
_HOLDS = """
    SELECT h.hold_id, h.payee_id, h.currency, h.amount_micros, h.placed_at, h.expires_at, c.state, c.actor, c.reason
    FROM billing.holds h JOIN billing.current_states c ON c.subject_kind = 'hold' AND c.subject_id = h.hold_id"""
_HOLDS_OF = _HOLDS + " WHERE %(payee)s IS NULL OR h.payee_id = %(payee)s ORDER BY h.placed_at DESC"
_OWED = f"""
    SELECT EXISTS (SELECT 1 FROM billing.transactions WHERE payee_id = %(payee)s AND currency = %(currency)s),
           coalesce((SELECT -sum(e.amount_micros)
                     FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
                     WHERE t.payee_id = %(payee)s AND t.currency = %(currency)s
                       AND e.account = 'payable:' || t.payee_id), 0)::bigint,
           coalesce((SELECT sum(h.amount_micros) FROM billing.holds h
                     WHERE h.payee_id = %(payee)s AND h.currency = %(currency)s AND {IS_PENDING_HOLD}), 0)::bigint"""
_DUE = _HOLDS + " WHERE h.expires_at <= %s AND c.state = 'pending'"
_INSERT_APPEAL = """
    INSERT INTO billing.appeals (appeal_id, payee_id, statement_id, objection)
    SELECT %(id)s, payee_id, statement_id, %(objection)s FROM billing.statements WHERE statement_id = %(statement)s
    ON CONFLICT DO NOTHING RETURNING appeal_id"""
_RECEIVED_AT = "SELECT received_at FROM billing.appeals WHERE appeal_id = %s"
_APPEALS = """
    SELECT a.appeal_id, a.payee_id, a.statement_id, a.objection, a.received_at, c.state, c.actor, c.reason
    FROM billing.appeals a JOIN billing.current_states c ON c.subject_kind = 'appeal' AND c.subject_id = a.appeal_id"""
_APPEALS_OF = _APPEALS + " WHERE %(payee)s IS NULL OR a.payee_id = %(payee)s ORDER BY a.received_at DESC"


@dataclass(frozen=True)
class Hold:
    """An amount on hold, and the state of the hold."""

    hold_id: str
    payee_id: str
    currency: str
    amount_micros: int
    placed_at: datetime
    expires_at: datetime
    state: str
    actor: str
    reason: str


@dataclass(frozen=True)
class Appeal:
    """A payee's objection, and the state of the appeal."""

    appeal_id: str
    payee_id: str
    statement_id: str
    objection: str
    received_at: datetime
    state: str
    actor: str
    reason: str


@dataclass(frozen=True)
class FiledAppeal:
    """The answer to filing an appeal."""

    appeal_id: str
    received_at: datetime


class PostgresHolds:
    """Places and decides holds and appeals; every call is one database transaction, safe to repeat.

    A decision that is already stored with the same actor and reason is returned as stored.
    """

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def place(self, payee_id: str, currency: str, amount_micros: int, expires_at: datetime, move: Move) -> str:
        """Keep an amount back until it is decided or expires; return the hold's id.

        Raises:
            StateError: it is more than the amount that is owed and not yet on hold.
        """
        hold_id = secrets.token_hex(8)

        def work(cursor: "Cursor") -> str:
            cursor.execute(_INSERT_HOLD, (hold_id, payee_id, currency, amount_micros, expires_at))
            if cursor.fetchone():
                _check_owed(cursor, payee_id, currency, amount_micros)
                append_step(cursor, "hold", hold_id, move)
            return hold_id

        return alone(self._connect, work, self._sleep)

    def decide(self, hold_id: str, move: Move, now: datetime) -> None:
        """Release a hold, or void it, so that a transaction of its own makes the amount no longer owed.

        Raises:
            StateError: it is not pending, it has expired, or it is voided while less than its amount is owed.
        """
        alone(self._connect, lambda cursor: _decide(cursor, hold_id, move, now), self._sleep)

    def expire(self, now: datetime) -> int:
        """Mark the pending holds that have expired; their amounts are payable again. Return how many."""

        def work(cursor: "Cursor") -> int:
            cursor.execute(_DUE, (now,))
            due = [Hold(*row).hold_id for row in cursor]
            for hold_id in due:
                append_step(cursor, "hold", hold_id, Move("expired", RUN, "not decided in time"))
            return len(due)

        return alone(self._connect, work, self._sleep)

    def holds(self, payee_id: str | None = None) -> list[Hold]:
        """Return the holds of a payee, or all, newest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_HOLDS_OF, {"payee": payee_id})
            return [Hold(*row) for row in cursor]

    def appeal(self, statement_id: str, objection: str, actor: str, request: RequestKey | None = None) -> FiledAppeal:
        """Record a payee's objection to a statement, once per request key.

        Raises:
            UnknownNameError: there is no such statement.
            OpenAppealError: an appeal to it is not decided yet.
            KeyReusedError: the key was used for another request before.
        """
        appeal_id = secrets.token_hex(8)

        def work(cursor: "Cursor") -> FiledAppeal | None:
            if request is not None and (before := answered(cursor, request)) is not None:
                return _filed_before(before)
            cursor.execute(_INSERT_APPEAL, {"id": appeal_id, "statement": statement_id, "objection": objection})
            if cursor.fetchone():
                append_step(cursor, "appeal", appeal_id, Move("received", actor))
            cursor.execute(_RECEIVED_AT, (appeal_id,))
            row = cursor.fetchone()
            if row is None:
                return None
            if request is not None:
                remember(cursor, request, {"appeal_id": appeal_id, "received_at": row[0].isoformat()})
            return FiledAppeal(appeal_id, row[0])

        try:
            filed = alone(self._connect, work, self._sleep)
        except DatabaseRefusedError as error:
            if not error.is_by(DatabaseRule.ONE_OPEN_APPEAL):
                raise
            raise OpenAppealError(error.sentence) from error
        if filed is None:
            raise UnknownNameError(f"there is no statement {statement_id}; `billing statements show` shows the ids")
        return filed

    def appeal_answered(self, request: RequestKey) -> FiledAppeal | None:
        """Return the appeal that a request filed before; None for a new request. Raises KeyReusedError."""
        with one_transaction(self._connect) as cursor:
            before = answered(cursor, request)
        return None if before is None else _filed_before(before)

    def decide_appeal(self, appeal_id: str, move: Move) -> None:
        """Accept, reject or withdraw an appeal.

        Raises:
            UnknownNameError: there is no such appeal.
            StateError: it is already decided.
        """

        def work(cursor: "Cursor") -> None:
            if not _is_appeal(cursor, appeal_id):
                raise UnknownNameError(f"there is no appeal {appeal_id}; `billing appeals list` lists them")
            if not stored_step(cursor, "appeal", appeal_id, move):
                append_step(cursor, "appeal", appeal_id, move)

        alone(self._connect, work, self._sleep)

    def appeals(self, payee_id: str | None = None) -> list[Appeal]:
        """Return the appeals of a payee, or all, newest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_APPEALS_OF, {"payee": payee_id})
            return [Appeal(*row) for row in cursor]


def _filed_before(answer: Mapping[str, Any]) -> FiledAppeal:
    return FiledAppeal(answer["appeal_id"], datetime.fromisoformat(answer["received_at"]))


def _is_appeal(cursor: "Cursor", appeal_id: str) -> bool:
    cursor.execute("SELECT 1 FROM billing.appeals WHERE appeal_id = %s", (appeal_id,))
    return cursor.fetchone() is not None


def _decide(cursor: "Cursor", hold_id: str, move: Move, now: datetime) -> None:
    cursor.execute(_HOLDS + " WHERE h.hold_id = %s", (hold_id,))
    row = cursor.fetchone()
    if row is None:
        raise UnknownNameError(f"there is no hold {hold_id}; `billing holds list` lists them")
    hold = Hold(*row)
    if stored_step(cursor, "hold", hold_id, move):
        return
    if hold.state == "pending" and hold.expires_at <= now:
        raise StateError(f"hold {hold_id} of payee {hold.payee_id} expired at {hold.expires_at.isoformat()}")
    append_step(cursor, "hold", hold_id, move)
    if move.to_state == "voided":
        _check_still_owed(cursor, hold)
        copy_transactions(cursor, [voided_hold(hold, now)])


def _owed(cursor: "Cursor", payee_id: str, currency: str) -> tuple[bool, int, int]:
    """Return whether a payee was ever owed something in a currency, its balance, and the part on hold."""
    cursor.execute(_OWED, {"payee": payee_id, "currency": currency})
    is_known, balance_micros, held_micros = cursor.fetchone() or (False, 0, 0)
    return is_known, balance_micros, held_micros


def _check_owed(cursor: "Cursor", payee_id: str, currency: str, amount_micros: int) -> None:
    """Refuse a hold of more than is owed: if it were voided, it would leave a debt that nobody decided on."""
    is_known, balance_micros, held_micros = _owed(cursor, payee_id, currency)
    if not is_known:
        raise StateError(
            f"payee {payee_id!r} was never owed anything in {currency}; `billing ledger balances` shows the balances"
        )
    if balance_micros - held_micros < amount_micros:
        raise StateError(
            f"payee {payee_id} is owed {amount_text(balance_micros, currency)}, of which "
            f"{amount_text(held_micros, currency)} is on hold: less than {amount_text(amount_micros, currency)} is left"
        )


def _check_still_owed(cursor: "Cursor", hold: Hold) -> None:
    _, balance_micros, _ = _owed(cursor, hold.payee_id, hold.currency)
    if balance_micros < hold.amount_micros:
        raise StateError(
            f"payee {hold.payee_id} is owed {amount_text(balance_micros, hold.currency)} by now, and hold "
            f"{hold.hold_id} is {amount_text(hold.amount_micros, hold.currency)}; release it, and put what is still "
            "owed on hold"
        )


def voided_hold(hold: Hold, now: datetime) -> LedgerTransaction:
    """Return the transaction for a voided hold: the amount is no longer owed, and no longer an expense."""
    return LedgerTransaction(
        idempotency_key=f"hold_voided:{hold.hold_id}",
        inputs_hash=hold.hold_id,
        kind="hold_voided",
        payee_id=hold.payee_id,
        currency=hold.currency,
        effective_at=now,
        entries=(Entry(payable(hold.payee_id), hold.amount_micros), Entry(EXPENSE, -hold.amount_micros)),
    )
