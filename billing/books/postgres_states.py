"""Append the steps of statements, holds, appeals and the like in PostgreSQL, one at a time."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from billing.books.postgres_statement import PostgresStatements
from billing.books.states import OPEN, Move, Transition, check_move
from billing.postgres_session import Connect, alone

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_NEWEST = """
    SELECT transition_index, from_state, to_state, actor, reason, moved_at FROM billing.transitions
    WHERE subject_kind = %s AND subject_id = %s ORDER BY transition_index DESC LIMIT 1"""
_APPEND = """
    INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, reason)
    VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING from_state, to_state, actor, reason, moved_at"""


class PostgresStates:
    """Implements `billing.books.book_ports.States`; the database checks every step, too.

    A connection that is lost during COMMIT is resolved by reading what is stored.
    """

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def move(self, kind: str, subject_id: str, move: Move) -> Transition:
        """Append a step; see the port."""

        def work(cursor: "Cursor") -> Transition:
            return stored_step(cursor, kind, subject_id, move) or append_step(cursor, kind, subject_id, move)

        return alone(self._connect, work, self._sleep)

    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        """Return the steps of a subject, oldest first."""
        return PostgresStatements(self._connect).transitions(kind, subject_id)


def stored_step(cursor: "Cursor", kind: str, subject_id: str, move: Move) -> Transition | None:
    """Return the subject's newest step if it is the same one, by the same actor and with the same reason.

    So a decision whose COMMIT was never answered is found when it is repeated; it is stored once.
    """
    cursor.execute(_NEWEST, (kind, subject_id))
    _, *newest = cursor.fetchone() or (-1,)
    return Transition(*newest) if newest[1:4] == [move.to_state, move.actor, move.reason] else None


def append_step(cursor: "Cursor", kind: str, subject_id: str, move: Move) -> Transition:
    """Append a step from the subject's state, inside a database transaction.

    Raises:
        StateError: the table of steps does not allow it.
    """
    cursor.execute(_NEWEST, (kind, subject_id))
    index, _, state, *_ = cursor.fetchone() or (-1, "", OPEN)
    check_move(kind, subject_id, state, move.to_state)
    cursor.execute(_APPEND, (kind, subject_id, index + 1, state, move.to_state, move.actor, move.reason))
    return Transition(*(cursor.fetchone() or ()))
