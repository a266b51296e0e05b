"""Approval limits in PostgreSQL: set by those who approve, never by those who bill."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from billing.postgres_session import Connect, alone, one_transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_IN_FORCE = """
    SELECT DISTINCT ON (currency) currency, limit_micros, actor, coalesce(login, ''), reason, set_at
    FROM billing.approval_limits ORDER BY currency, limit_id DESC"""
_SET = "INSERT INTO billing.approval_limits (currency, limit_micros, actor, reason) VALUES (%s, %s, %s, %s)"


@dataclass(frozen=True)
class ApprovalLimit:
    """A limit and who set it."""

    currency: str
    """`*`: all currencies without one of their own."""
    limit_micros: int
    actor: str
    login: str
    """The login that set it; empty for the first ones, which a migration set."""
    reason: str
    set_at: datetime


class PostgresLimits:
    """Reads and sets approval limits; every call is one database transaction."""

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def in_force(self) -> Sequence[ApprovalLimit]:
        """Return the newest limit of every currency that has one, by currency."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_IN_FORCE)
            return [ApprovalLimit(*row) for row in cursor]

    def set(self, currency: str, limit_micros: int, actor: str, reason: str) -> None:
        """Put a limit in force for later runs; a limit that is already in force is not stored again.

        Raises:
            DatabaseRefusedError: the login bills.
        """

        def work(cursor: "Cursor") -> None:
            cursor.execute(_IN_FORCE)
            newest = {each.currency: each for each in (ApprovalLimit(*row) for row in cursor)}.get(currency)
            wanted = (limit_micros, actor, reason)
            if newest is None or (newest.limit_micros, newest.actor, newest.reason) != wanted:
                cursor.execute(_SET, (currency, *wanted))

        alone(self._connect, work, self._sleep)
