"""What rules of a period found, in billing's tables in PostgreSQL: stored with the version that pins it."""

import json
from collections.abc import Collection

from psycopg2.extensions import cursor as Cursor

from ingestion.contract.periods import Period
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.traffic_findings import TrafficFinding

_STORE = """
    INSERT INTO billing.traffic_findings (version, start_on, end_on, rule, invalid_class, payee_id, outcome, points,
        first_on, last_on, event_count, set_hash, evidence)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def store_findings(cursor: Cursor, version: int, findings: Collection[tuple[Period, TrafficFinding]]) -> None:
    """Store the findings of periods that a version is the first to have."""
    cursor.executemany(_STORE, [_row(version, period, finding) for period, finding in findings])


def _row(version: int, period: Period, finding: TrafficFinding) -> tuple[object, ...]:
    found = finding.found
    return (
        *(version, period.start_on, period.end_on, found.reason, CLASS_OF_CODE[found.reason].value, found.payee_id),
        *(
            found.outcome.value,
            finding.points_most,
            finding.first_on,
            finding.last_on,
            found.event_count,
            found.set_hash,
        ),
        json.dumps(dict(finding.evidence)),
    )
