"""Read from PostgreSQL by which policies events and days are judged."""

from datetime import date
from typing import Any

from batch_layer.errors import RefusedError
from batch_layer.lake.postgres_rows import read_rows
from ingestion.contract.policy import COUNTING, CountingPolicy, counting_policy
from ingestion.contract.traffic_policy import TRAFFIC, TrafficPolicy, traffic_policy

_POLICIES = """
    SELECT policy_version, first_on, document FROM billing.policies_in_force WHERE kind = %s ORDER BY policy_version"""


def counting_policies(url: str) -> tuple[CountingPolicy, ...]:
    """Return every policy that is in force on some day; May raise UnavailableError."""
    return tuple(counting_policy(*row) for row in _rows(url, COUNTING))


def traffic_policies(url: str) -> tuple[TrafficPolicy, ...]:
    """Return every policy of traffic that is in force on some day.

    Raises:
        UnavailableError: PostgreSQL does not answer.
        RefusedError: a program of another release wrote a policy.
    """
    try:
        return tuple(traffic_policy(*row) for row in _rows(url, TRAFFIC))
    except ValueError as error:
        raise RefusedError(f"{error}; use the program that proposed it, or a newer one") from error


def _rows(url: str, kind: str) -> list[tuple[int, date, dict[str, Any]]]:
    return [(version, first_on, document) for version, first_on, document in read_rows(url, _POLICIES, (kind,))]
