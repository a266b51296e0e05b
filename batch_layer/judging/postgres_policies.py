"""Read from PostgreSQL by which counting policies events are judged."""

from contextlib import closing

import psycopg2

from batch_layer.lake.postgres_connection import connected
from ingestion.contract.policy import COUNTING, CountingPolicy, counting_policy
from ingestion.contract.unavailable import Part, does_not_answer

_POLICIES = """
    SELECT policy_version, first_on, document FROM billing.policies_in_force WHERE kind = %s ORDER BY policy_version"""


def counting_policies(url: str) -> tuple[CountingPolicy, ...]:
    """Return every policy that is in force on some day; May raise UnavailableError."""
    try:
        with closing(connected(url)) as connection, connection.cursor() as cursor:
            cursor.execute(_POLICIES, (COUNTING,))
            return tuple(counting_policy(*row) for row in cursor)
    except psycopg2.OperationalError as error:
        raise does_not_answer(Part.POSTGRES, error) from error
