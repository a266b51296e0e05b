"""Read the decisions about groups under review from billing's tables in PostgreSQL."""

from contextlib import closing

import psycopg2

from batch_layer.lake.postgres_connection import connected
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.unavailable import Part, does_not_answer

_DECISIONS = """
    SELECT event_day::text, rule, payee_id, event_count, set_hash, outcome FROM billing.traffic_decisions"""


class PostgresGroupDecisions:
    """See the port `TrafficDecisions`. A connection for each call: a run makes one."""

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> frozenset[TrafficDecision]:
        """See the port."""
        try:
            with closing(connected(self._url)) as connection, connection.cursor() as cursor:
                cursor.execute(_DECISIONS)
                return frozenset(TrafficDecision.from_json(row) for row in cursor)
        except psycopg2.OperationalError as error:
            raise does_not_answer(Part.POSTGRES, error) from error
