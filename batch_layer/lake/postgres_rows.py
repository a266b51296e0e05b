"""Read rows from PostgreSQL for a batch run, over a connection of its own."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated


def read_rows(url: str, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query.

    Raises:
        UnavailableError: PostgreSQL does not answer.
        RefusedError: its schema is missing or older.
    """
    with translated(), closing(connected(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()
