"""Read the decisions about groups under review from billing's tables in PostgreSQL."""

from batch_layer.lake.postgres_rows import read_rows
from ingestion.contract.traffic_groups import TrafficDecision

_DECISIONS = """
    SELECT event_day::text, rule, payee_id, event_count, set_hash, outcome FROM billing.traffic_decisions"""


class PostgresGroupDecisions:
    """See the port `TrafficDecisions`. A connection for each call: a run makes one."""

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> frozenset[TrafficDecision]:
        """See the port."""
        return frozenset(map(TrafficDecision.from_json, read_rows(self._url, _DECISIONS)))
