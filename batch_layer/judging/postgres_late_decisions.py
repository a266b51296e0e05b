"""Read the decisions about late events from billing's journal in PostgreSQL."""

from contextlib import closing

import psycopg2

from batch_layer.lake.postgres_connection import connected
from ingestion.contract.offsets import LogPlace
from ingestion.contract.unavailable import Part, does_not_answer

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
        try:
            with closing(connected(self._url)) as connection, connection.cursor() as cursor:
                cursor.execute(_ACCEPTED)
                return frozenset((partition, offset) for partition, offset in cursor)
        except psycopg2.OperationalError as error:
            raise does_not_answer(Part.POSTGRES, error) from error
