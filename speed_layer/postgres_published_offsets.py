"""How far the published version goes, read from PostgreSQL now and then."""

import time
from collections.abc import Callable
from datetime import datetime

import psycopg2

from ingestion.contract.offsets import OffsetVector
from speed_layer.errors import TopicSettingsError, UnavailableError
from speed_layer.ports import Published

CONNECT_TIMEOUT_SECONDS = 2
QUERY = """
    SELECT versions.offsets, versions.watermarks
    FROM published.pointer JOIN published.versions USING (version)
"""


class PostgresPublishedOffsets:
    """Asks PostgreSQL each time, over one connection; while it does not answer, its last answer stands.

    A missing table means that nothing was published. After a failure PostgreSQL is left alone for a while, so that
    one that is down does not slow down counting.
    """

    def __init__(
        self,
        url: str,
        topic: str,
        *,
        retry_after_seconds: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._topic = topic
        self._retry_after_seconds = retry_after_seconds
        self._monotonic = monotonic
        self._connection: psycopg2.extensions.connection | None = None
        self._last: Published | None = None
        self._is_known = False
        self._failure = ""
        self._retry_at = 0.0

    def current(self) -> Published | None:
        """Returns the current version's reach, or None if nothing is published; see the port.

        Raises:
            TopicSettingsError: the version was counted from another topic.
        """
        if self._monotonic() >= self._retry_at:
            try:
                self._last = self._ask()
                self._is_known = True
            except psycopg2.Error as error:
                self._failure = " ".join(str(error).split()) or type(error).__name__
                self._retry_at = self._monotonic() + self._retry_after_seconds
                self._disconnect()
        if not self._is_known:
            raise UnavailableError(f"PostgreSQL: {self._failure}")
        return self._last

    def _ask(self) -> Published | None:
        if self._connection is None:
            self._connection = psycopg2.connect(
                self._url,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                application_name="viewledger-speed",
                options="-c statement_timeout=2000",
            )
            self._connection.set_session(readonly=True, autocommit=True)
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(QUERY)
            except psycopg2.errors.UndefinedTable:
                return None
            row = cursor.fetchone()
        if row is None:
            return None
        offsets, watermarks = row
        vector = OffsetVector.from_json(offsets)
        if vector.topic != self._topic:
            raise TopicSettingsError(
                f"the published version was counted from topic {vector.topic}, but this process reads {self._topic}"
            )
        return Published(vector, tuple(datetime.fromisoformat(text) for text in watermarks))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
