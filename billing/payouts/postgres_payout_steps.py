"""The steps of a payout batch between its creation and the bank: approved, written, or voided."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing.books.postgres_statement_rows import copy_transactions, copy_transitions
from billing.books.postgres_states import append_step, stored_step
from billing.books.states import Move
from billing.errors import StateError, UnknownNameError
from billing.payouts.payouts import VOIDED, payout_transaction
from billing.payouts.postgres_payouts import read_batch, start_of
from billing.postgres_session import Connect, alone

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_STATE = "SELECT state FROM billing.current_states WHERE subject_kind = 'payout_batch' AND subject_id = %s"
_WAITS = "SELECT EXISTS (SELECT FROM billing.waiting_restores)"
_PAYMENT_COUNT = "SELECT count(*) FROM billing.payout_items WHERE batch_id = %s"


class PostgresPayoutSteps:
    """Moves payout batches; every call is one database transaction and changes nothing if it is refused.

    A step that is already stored with the same actor and reason is returned as stored.
    """

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def approve(self, batch_id: str, move: Move) -> int:
        """Approve a batch; return its number of payments. Needs the role viewledger_approver.

        Raises:
            StateError: there is no such batch, it is not waiting, or the actor made it.
        """

        def work(cursor: "Cursor") -> int:
            _known_state(cursor, batch_id)
            if not stored_step(cursor, "payout_batch", batch_id, move):
                append_step(cursor, "payout_batch", batch_id, move)
            cursor.execute(_PAYMENT_COUNT, (batch_id,))
            (count,) = cursor.fetchone() or (0,)
            return int(count)

        return alone(self._connect, work, self._sleep)

    def write(self, batch_id: str, actor: str) -> None:
        """Note that the file of a batch is written; from then on it cannot be voided. A repeated note changes nothing.

        Raises:
            StateError: there is no such batch, it is not approved, or it was written and payouts wait after a restore.
        """

        def work(cursor: "Cursor") -> None:
            state = _known_state(cursor, batch_id)
            if state == "made":
                raise StateError(
                    f"payout batch {batch_id} is not approved; someone other than its maker must approve it: "
                    f"`billing payouts approve --batch {batch_id} --actor NAME`"
                )
            if state != "written":
                append_step(cursor, "payout_batch", batch_id, Move("written", actor))
                return
            cursor.execute(_WAITS)
            if cursor.fetchone() == (True,):
                raise StateError(
                    f"the file of payout batch {batch_id} was written before the restore and may be at the bank; it is "
                    "written again when a second person has released the payouts: `billing payouts release`"
                )

        alone(self._connect, work, self._sleep)

    def void(self, batch_id: str, move: Move) -> int:
        """Void a batch whose file was not written: its amounts are owed again. Return its number of payments.

        Raises:
            StateError: there is no such batch, or its file was written.
        """

        def work(cursor: "Cursor") -> int:
            state, batch = _known_state(cursor, batch_id), read_batch(cursor, batch_id)
            if state == "written" or batch is None:
                raise StateError(f"the file of payout batch {batch_id} was written and may be at the bank")
            if stored_step(cursor, "payout_batch", batch_id, move):
                return len(batch.items)
            append_step(cursor, "payout_batch", batch_id, move)
            copy_transitions(
                cursor,
                (("payout", each.item_id, 1, "instructed", VOIDED, move.actor, move.reason) for each in batch.items),
            )
            # not before the day of the payment: a reversal cannot precede what it reverses
            effective_at = max(datetime.now(UTC), start_of(batch.execution_on))
            undone = [payout_transaction("payout_voided", each, batch.currency, effective_at) for each in batch.items]
            copy_transactions(cursor, undone)
            return len(batch.items)

        return alone(self._connect, work, self._sleep)


def _known_state(cursor: "Cursor", batch_id: str) -> str:
    cursor.execute(_STATE, (batch_id,))
    row = cursor.fetchone()
    if row is None:
        raise UnknownNameError(f"there is no payout batch {batch_id!r}; `billing payouts list` lists them")
    return str(row[0])
