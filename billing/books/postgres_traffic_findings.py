"""What the rules of periods found in traffic, in PostgreSQL: written by the run that judged a period."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from billing.postgres_session import Connect, one_transaction
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import FoundSet, TrafficFinding

_SELECT = """
    SELECT version, start_on, end_on, invalid_class, found_at, rule, payee_id, outcome, event_count, set_hash, points,
        first_on, last_on, evidence
    FROM billing.traffic_findings ORDER BY finding_id"""


@dataclass(frozen=True)
class StoredFinding:
    """A finding with the version that is the first to have it."""

    version: int
    period: Period
    invalid_class: str
    found_at: datetime
    finding: TrafficFinding


class PostgresTrafficFindings:
    """Reads findings."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def all(self) -> list[StoredFinding]:
        """Return all findings, oldest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_SELECT)
            return [_stored(*row) for row in cursor]


def _stored(
    version: int,
    start_on: date,
    end_on: date,
    its_class: str,
    found_at: datetime,
    reason: str,
    payee_id: str,
    outcome: str,
    event_count: int,
    set_hash: str,
    *details: Any,
) -> StoredFinding:
    found = FoundSet(reason, payee_id, TrafficOutcome(outcome), event_count, set_hash)
    return StoredFinding(version, Period(start_on, end_on), its_class, found_at, TrafficFinding(found, *details))
