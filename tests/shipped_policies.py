"""The counting policy that the first migration of policies puts in force, for tests without a database.

`tests/integration/test_policies.py` compares it with the database's.
"""

from datetime import date, timedelta

from ingestion.contract.policy import CountingPolicy, policy_on

POLICIES: tuple[CountingPolicy, ...] = (
    CountingPolicy(
        version=1,
        effective_from_on=date(1970, 1, 1),
        minimum_view_seconds=30,
        billable_per_viewer_max=4,
        viewer_window=timedelta(hours=24),
        asks_attestation=False,
    ),
)


def shipped_policy_on(day: date) -> CountingPolicy:
    """Return the policy of a day where nobody put another one in force."""
    return policy_on(day, POLICIES)
