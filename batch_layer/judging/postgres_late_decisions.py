"""Read the decisions about late events from billing's journal in PostgreSQL."""

from batch_layer.lake.postgres_rows import read_rows
from ingestion.contract.offsets import LogPlace

_ACCEPTED = """
    SELECT split_part(subject_id, ':', 1)::integer, split_part(subject_id, ':', 2)::bigint
    FROM billing.transitions
    WHERE subject_kind = 'late_event' AND to_state = 'accepted' AND subject_id ~ '^[0-9]{1,9}:[0-9]{1,18}$'"""


class PostgresLateDecisions:
    """See the port `LateDecisions`. A connection for each call: a run makes one."""

    def __init__(self, url: str) -> None:
        self._url = url

    def accepted(self) -> frozenset[LogPlace]:
        """See the port. A decision is final, so one row suffices."""
        return frozenset((partition, offset) for partition, offset in read_rows(self._url, _ACCEPTED))
