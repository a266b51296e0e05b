"""Bounded reads from PostgreSQL for serving."""

import queue
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extensions import connection as Connection

from ingestion.contract.postgres_address import next_server_first
from ingestion.contract.postgres_transactions import own_settings
from ingestion.contract.unavailable import Part, UnavailableError, one_line

API_ROLE = "viewledger_api"
"""The database role of the API's reads, for any login: it may only read what is shown."""
TIMEOUT_MS = 2_000
_ON_PRIMARY = "SELECT pg_current_wal_lsn(); "
"""An error on a standby."""
SECONDS_MAX = 3.0
"""Bound of a connection attempt and of a query; a server that hangs cannot enforce its own."""


def away(text: str) -> UnavailableError:
    """Return the error for PostgreSQL and its message."""
    return UnavailableError(Part.POSTGRES, text)


class PostgresReads:
    """Runs queries on one connection, which is opened on demand and reopened after a failure.

    Each is a transaction in API_ROLE, read-only by default, and on the primary: a standby may lack a version whose
    number another connection has read, and would give the counts of an older one. Thread-safe; calls wait for each
    other, so a caller that must not wait gets an instance of its own. Every call ends within a few seconds, or raises
    UnavailableError, or `too_slow` if the server cancelled the query.
    """

    def __init__(
        self,
        url: str,
        too_slow: Callable[[str], Exception] = away,
        *,
        read_only: bool = True,
    ) -> None:
        self._url = url
        self._settings = own_settings(role=API_ROLE, statement_ms=TIMEOUT_MS, is_read_only=read_only) + _ON_PRIMARY
        self._too_slow = too_slow
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def query(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return all rows; raise as the class does."""
        with self._lock:
            try:
                try:
                    return self._run(sql, arguments)
                except psycopg2.Error:
                    if self._connection is None or not self._connection.closed:
                        raise
                # The server was restarted after the last call; this call need not fail.
                self._disconnect()
                return self._run(sql, arguments)
            except psycopg2.errors.QueryCanceled as error:
                raise self._too_slow(one_line(error)) from error
            except psycopg2.errors.ObjectNotInPrerequisiteState as error:
                self._disconnect()
                raise away("PostgreSQL is a standby here; name the primary, by target_session_attrs=primary") from error
            except psycopg2.Error as error:
                self._disconnect()
                self._url = next_server_first(self._url)
                raise away(one_line(error)) from error

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._disconnect()

    def _run(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = _connected(self._url)
        with self._connection.cursor() as cursor:
            # one message is one transaction: its settings hold for the query and nothing else
            cursor.execute(self._settings + sql, arguments)
            _wait(self._connection)
            return list(cursor.fetchall())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PooledReads:
    """Several PostgresReads, for queries that may take a while: as many at once as there are connections."""

    def __init__(self, url: str, too_slow: type[Exception], *, connections: int) -> None:
        self._all = [PostgresReads(url, too_slow) for _ in range(connections)]
        self._free: queue.SimpleQueue[PostgresReads] = queue.SimpleQueue()
        for each in self._all:
            self._free.put(each)

    def query(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        """See PostgresReads."""
        reads = self._free.get()
        try:
            return reads.query(sql, arguments)
        finally:
            self._free.put(reads)

    def close(self) -> None:
        """Disconnect."""
        for each in self._all:
            each.close()


def _connected(url: str) -> Connection:
    connection = psycopg2.connect(
        url,
        application_name="viewledger-api",
        async_=True,  # this process waits by itself, so that it can stop waiting
        tcp_user_timeout=TIMEOUT_MS,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=2,
    )
    _wait(connection)
    return connection


def _wait(connection: Connection) -> None:
    """Wait for the connection's running request; raise psycopg2.OperationalError if it takes too long."""
    give_up_at = time.monotonic() + SECONDS_MAX
    while (state := connection.poll()) != POLL_OK:
        waiting = select.poll()  # not `select`, which supports no descriptor beyond 1,023
        waiting.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not waiting.poll(max(0.0, give_up_at - time.monotonic()) * 1000):
            raise psycopg2.OperationalError(f"no answer within {SECONDS_MAX:g} s")
