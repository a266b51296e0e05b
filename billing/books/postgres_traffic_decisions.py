"""Decisions about groups of events under review in PostgreSQL: written once, by a role of their own."""

from datetime import datetime
from typing import Any

from billing.books.group_decisions import StoredDecision
from billing.books.postgres_traffic_appeals import answer_by_decision
from billing.errors import StateError
from billing.postgres_session import Connect, one_transaction
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup

_SELECT = """
    SELECT d.event_day::text, d.rule, d.payee_id, d.event_count, d.set_hash, d.outcome, d.actor, d.reason, d.decided_at,
        d.expired_after_days IS NOT NULL,
        (SELECT min(v.version) FROM published.versions v CROSS JOIN jsonb_array_elements(v.traffic_decisions) AS applied
         WHERE applied ->> 0 = d.event_day::text AND applied ->> 1 = d.rule AND applied ->> 2 = d.payee_id
           AND applied ->> 3 = d.event_count::text AND applied ->> 4 = d.set_hash)
    FROM billing.traffic_decisions d ORDER BY d.decision_id"""
_STORE = """
    INSERT INTO billing.traffic_decisions (event_day, rule, payee_id, event_count, set_hash, outcome, actor, reason)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (event_day, rule, payee_id, event_count, set_hash) DO NOTHING"""

_WAITING = "SELECT event_day, rule, payee_id, event_count, set_hash, expires_at FROM billing.traffic_groups_waiting"


class PostgresTrafficDecisions:
    """Implements `billing.books.group_decisions.GroupDecisions`; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def all(self) -> list[StoredDecision]:
        """Return all decisions, oldest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_SELECT)
            return [_stored(row) for row in cursor]

    def waiting(self) -> dict[TrafficGroup, datetime]:
        """Return the groups that wait for a decision, as far as a run has noted them, and when they are released."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_WAITING)
            return {TrafficGroup(*row[:5]): row[5] for row in cursor}

    def store(self, decision: TrafficDecision, *, actor: str, reason: str) -> None:
        """Store a decision, and answer the open appeals about the payee's day and class by it.

        Raises:
            StateError: the group is decided by now.
            DatabaseRefusedError: nobody decides on their own payee.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute(_STORE, (*decision.to_json(), actor, reason))
            if cursor.rowcount == 0:
                raise StateError(f"group {decision.group.name} was decided meanwhile; `traffic report` shows by whom")
            answer_by_decision(cursor, decision, actor)


def _stored(row: tuple[Any, ...]) -> StoredDecision:
    return StoredDecision(TrafficDecision.from_json(row[:6]), *row[6:])
