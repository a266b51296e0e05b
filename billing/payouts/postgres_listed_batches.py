"""The payout batches with the payments in each state, read from PostgreSQL; nothing here checks banks."""

from dataclasses import dataclass
from datetime import date

from billing.postgres_session import Connect, one_transaction

_BATCHES = """
    SELECT b.batch_id, b.currency, b.execution_on, b.actor, of_batch.state, c.state, count(*),
           sum(i.amount_micros)::bigint
    FROM billing.payout_batches b JOIN billing.payout_items i USING (batch_id)
    JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = i.item_id
    JOIN billing.current_states of_batch ON of_batch.subject_kind = 'payout_batch' AND of_batch.subject_id = b.batch_id
    GROUP BY b.batch_id, of_batch.state, c.state ORDER BY b.execution_on, b.batch_id, c.state"""


@dataclass(frozen=True)
class ListedBatch:
    """The payments of a batch that are in one state."""

    batch_id: str
    currency: str
    execution_on: date
    made_by: str
    batch_state: str
    payment_state: str
    payment_count: int
    amount_micros: int


def listed_batches(connect: Connect) -> list[ListedBatch]:
    """Return the batches with the payments in each state."""
    with one_transaction(connect) as cursor:
        cursor.execute(_BATCHES)
        return [ListedBatch(*row) for row in cursor]
