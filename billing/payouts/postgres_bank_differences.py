"""What the bank's movements and the payments do not agree on, read from PostgreSQL; nothing here checks banks."""

from billing.money import amount_text
from billing.postgres_session import Connect, one_transaction

# what the bank booked for a payment and does not fit it; a wrong debit that came back adds up to nothing
_UNFITTING = """
    SELECT e.item_id, i.payee_id, i.batch_id, e.currency, sum(e.amount_micros)::bigint, min(e.reason)
    FROM billing.bank_entries e JOIN billing.payout_items i USING (item_id)
    WHERE e.purpose = 'unknown' AND (%(batch)s IS NULL OR i.batch_id = %(batch)s)
    GROUP BY e.item_id, i.payee_id, i.batch_id, e.currency
    HAVING sum(e.amount_micros) <> 0 ORDER BY i.batch_id, i.payee_id COLLATE "C", e.currency"""
_UNBOOKED = """
    SELECT count(*) FROM billing.payout_items i
    JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = i.item_id
    WHERE c.state IN ('settled', 'returned') AND (%(batch)s IS NULL OR i.batch_id = %(batch)s)
      AND NOT EXISTS (SELECT FROM billing.bank_entries e WHERE e.item_id = i.item_id AND e.purpose = 'settles')"""


def bank_differences(connect: Connect, batch_id: str | None = None) -> list[str]:
    """Return a sentence for each payment of a batch (or of all) for which the bank booked another movement."""
    with one_transaction(connect) as cursor:
        cursor.execute(_UNFITTING, {"batch": batch_id})
        return [
            f"batch {batch}, payee {payee_id}, payment {item_id}: {amount_text(micros, currency)} in suspense, as "
            f"{reason}; ask the bank to put it right, and import what it books"
            for item_id, payee_id, batch, currency, micros, reason in cursor
        ]


def unbooked_count(connect: Connect, batch_id: str | None = None) -> int:
    """Return the number of payments of a batch (or of all) that a file settled, and that no statement shows."""
    with one_transaction(connect) as cursor:
        cursor.execute(_UNBOOKED, {"batch": batch_id})
        (count,) = cursor.fetchone() or (0,)
        return int(count)
