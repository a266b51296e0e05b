"""Find the payout batch that a command names."""

from billing.errors import UnknownNameError
from billing.payouts.payouts import PayoutBatch
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import Connect


def batch_of(connect: Connect, batch_id: str) -> PayoutBatch:
    """Return a batch with its payments and accounts; raise UnknownNameError if there is none."""
    batch = PostgresPayouts(connect).batch(batch_id)
    if batch is None:
        raise UnknownNameError(f"there is no payout batch {batch_id!r}; `billing payouts list` lists them")
    return batch
