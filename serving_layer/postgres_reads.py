"""Bounded reads from PostgreSQL for serving."""

import threading
from collections.abc import Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

TIMEOUT_MS = 2_000


class PostgresReads:
    """Read-only queries on one connection, which is made when needed and made anew after a failure.

    Thread-safe; calls wait for each other, so what must not wait gets an instance of its own. Every call ends within a
    few seconds, whatever the server or the network does, or raises `unavailable`.
    """

    def __init__(self, url: str, unavailable: type[Exception]) -> None:
        self._url = url
        self._unavailable = unavailable
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def query(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return all rows; raises `unavailable`."""
        with self._lock:
            try:
                try:
                    return self._run(sql, arguments)
                except psycopg2.Error:
                    if self._connection is None or not self._connection.closed:
                        raise
                # The server was restarted since the last call, which says nothing about now.
                self._disconnect()
                return self._run(sql, arguments)
            except psycopg2.Error as error:
                self._disconnect()
                raise self._unavailable(" ".join(str(error).split())) from error

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._disconnect()

    def _run(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = _connected(self._url)
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return list(cursor.fetchall())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connected(url: str) -> Connection:
    connection = psycopg2.connect(
        url,
        application_name="viewledger-api",
        connect_timeout=TIMEOUT_MS // 1000,
        tcp_user_timeout=TIMEOUT_MS,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=2,
        options=f"-c statement_timeout={TIMEOUT_MS} -c default_transaction_read_only=on -c timezone=UTC",
    )
    connection.autocommit = True
    return connection
