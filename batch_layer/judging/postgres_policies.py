"""Read from PostgreSQL by which counting policies events are judged."""

from batch_layer.lake.postgres_rows import read_rows
from ingestion.contract.policy import COUNTING, CountingPolicy, counting_policy

_POLICIES = """
    SELECT policy_version, first_on, document FROM billing.policies_in_force WHERE kind = %s ORDER BY policy_version"""


def counting_policies(url: str) -> tuple[CountingPolicy, ...]:
    """Return every policy that is in force on some day; May raise UnavailableError."""
    return tuple(counting_policy(*row) for row in read_rows(url, _POLICIES, (COUNTING,)))
