"""Restores from backups after which payouts wait, in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.money import amount_text
from billing.postgres_session import Connect, one_transaction

_WAITING = """
    SELECT restore_id, backup_id, backed_up_at, restored_at FROM billing.waiting_restores ORDER BY restore_id"""
_INSERT = """
    INSERT INTO billing.restores (backup_id, backed_up_at, actor, reason)
    VALUES (to_char(%s AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'), %s, %s, %s)"""
_IMPORTED = "SELECT count(*) FROM billing.bank_entries WHERE imported_at > %s"
_UNEXPLAINED = """
    SELECT e.booked_on, e.reference, e.amount_micros, e.currency FROM billing.bank_entries e
    WHERE e.purpose = 'unknown' AND e.booked_on >= (%s AT TIME ZONE 'UTC')::date
      AND NOT EXISTS (SELECT FROM billing.bank_entries n WHERE n.named_id = e.entry_id)
    ORDER BY e.booked_on, e.reference, e.entry_id"""


@dataclass(frozen=True)
class Restore:
    """A restore that nobody has released yet."""

    restore_id: int
    backup_id: str
    backed_up_at: datetime
    restored_at: datetime


def waiting_restores(connect: Connect) -> list[Restore]:
    """Return the restores after which payouts wait, oldest first."""
    with one_transaction(connect) as cursor:
        cursor.execute(_WAITING)
        return [Restore(*row) for row in cursor]


def let_payouts_wait(connect: Connect, since: datetime, *, actor: str, reason: str) -> None:
    """Note that the books came back as they were at an instant. Needs the role viewledger_owner."""
    with one_transaction(connect) as cursor:
        cursor.execute(_INSERT, (since, since, actor, reason))


def losses_at_the_bank(connect: Connect, restores: Sequence[Restore]) -> list[str]:
    """Return a sentence for each movement that the books cannot explain, or if none was imported.

    Movements count since the earliest of the backups, and imports since the latest of the restores.
    """
    with one_transaction(connect) as cursor:
        cursor.execute(_IMPORTED, (max(each.restored_at for each in restores),))
        (imported_count,) = cursor.fetchone() or (0,)
        cursor.execute(_UNEXPLAINED, (min(each.backed_up_at for each in restores),))
        found = [
            f"the bank booked {amount_text(micros, currency)} on {booked_on} ({reference}), unexplained by the books"
            for booked_on, reference, micros, currency in cursor
        ]
    if imported_count == 0:
        found.insert(0, "no movement of the bank was imported since the restore: `billing payouts import`")
    return found
