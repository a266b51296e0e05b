"""Read how far the published version reaches from PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

import psycopg2

from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogGeneration, OffsetVector
from ingestion.contract.postgres_address import next_server_first
from ingestion.contract.postgres_transactions import own_settings
from ingestion.contract.unavailable import Part, UnavailableError, one_line
from speed_layer.errors import TopicSettingsError
from speed_layer.ports import Published

CONNECT_TIMEOUT_SECONDS = 2
READING = own_settings(statement_ms=2000, is_read_only=True)
QUERY = """
    SELECT versions.offsets, versions.watermarks, versions.event_contracts
    FROM published.pointer JOIN published.versions USING (version)
"""
NEWEST_GENERATION = """
    SELECT generation, log_id FROM published.log_generations WHERE topic = %s ORDER BY generation DESC LIMIT 1
"""
_NOTHING_YET = (datetime(1970, 1, 1, tzinfo=UTC),)


class PostgresPublishedOffsets:
    """Queries PostgreSQL on each call, over one connection that is reopened after a failure.

    A missing table means that nothing was published.
    """

    def __init__(self, url: str, topic: str) -> None:
        self._url = url
        self._topic = topic
        self._connection: psycopg2.extensions.connection | None = None

    def current(self) -> Published | None:
        """Return the current version's reach, or None if nothing is published; see the port.

        Raises:
            TopicSettingsError: the version was counted from another topic.
            UnavailableError: PostgreSQL does not answer.
        """
        try:
            return self._ask()
        except psycopg2.Error as error:
            self._disconnect()
            self._url = next_server_first(self._url)
            reason = one_line(error)
            raise UnavailableError(Part.POSTGRES, f"PostgreSQL: {reason}") from error

    def _ask(self) -> Published | None:
        if self._connection is None:
            self._connection = psycopg2.connect(
                self._url,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                application_name="viewledger-speed",
            )
            self._connection.autocommit = True
        row = self._row(QUERY)
        of_log = self._row(NEWEST_GENERATION, self._topic)
        generation = LogGeneration(*of_log) if of_log else None
        if row is None:
            zero = OffsetVector.zero(self._topic, 1)
            return Published(zero, _NOTHING_YET, generation=generation) if generation else None
        offsets, watermarks, contracts = row
        vector = OffsetVector.from_json(offsets)
        if vector.topic != self._topic:
            raise TopicSettingsError(
                f"the published version was counted from topic {vector.topic}, but this process reads {self._topic}"
            )
        instants = tuple(datetime.fromisoformat(text) for text in watermarks)
        return Published(vector, instants, EventContracts.from_json(contracts), generation)

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        assert self._connection is not None  # noqa: S101  connected by its only caller
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(READING + query, values)
            except psycopg2.errors.UndefinedTable:
                return None
            return cursor.fetchone()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
