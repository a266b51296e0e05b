"""Record in PostgreSQL which rejected messages were sent again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2

from ingestion.contract.offsets import LogGeneration
from ingestion.contract.postgres_transactions import own_settings
from ingestion.contract.unavailable import Part, UnavailableError, one_line
from speed_layer.postgres_published_offsets import NEWEST_GENERATION

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

SETTINGS = own_settings(statement_ms=5000)


class PostgresReplays:
    """Implements `speed_layer.ports.Replays`; one connection a call."""

    def __init__(self, url: str, topic: str) -> None:
        self._url = url
        self._topic = topic

    def log_base(self) -> int:
        """Return the first offset of the generation on record."""
        with self._cursor() as cursor:
            cursor.execute(NEWEST_GENERATION, (self._topic,))
            row = cursor.fetchone()
        return LogGeneration(*row).base if row else 0

    def is_replayed(self, partition: int, offset: int) -> bool:
        """Return whether the message was sent again before."""
        place = (self._topic, partition, offset)
        with self._cursor() as cursor:
            cursor.execute(
                'SELECT 1 FROM ingestion.replays WHERE topic = %s AND partition = %s AND "offset" = %s', place
            )
            return cursor.fetchone() is not None

    def remember(self, partition: int, offset: int, actor: str) -> None:
        """Store who sent the message again, once."""
        row = (self._topic, partition, offset, actor)
        with self._cursor() as cursor:
            cursor.execute(
                'INSERT INTO ingestion.replays (topic, partition, "offset", actor) VALUES (%s, %s, %s, %s) '
                "ON CONFLICT DO NOTHING",
                row,
            )

    @contextmanager
    def _cursor(self) -> Iterator["Cursor"]:
        try:
            connection = psycopg2.connect(self._url, connect_timeout=2, application_name="viewledger-replay")
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute(SETTINGS)
                    yield cursor
            finally:
                connection.close()
        except psycopg2.Error as error:
            raise UnavailableError(Part.POSTGRES, f"PostgreSQL: {one_line(error)}") from error
