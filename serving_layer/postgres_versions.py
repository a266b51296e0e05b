"""Published versions and their counts, read from PostgreSQL."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from serving_layer.merge import ServedVersion, SettledCount
from serving_layer.ports import SettledUnavailableError

TIMEOUT_MS = 2_000

CURRENT_SQL = """
SELECT v.version, v.offsets, v.watermarks FROM published.pointer p JOIN published.versions v USING (version)
"""
# The row in force at a version is the newest one up to it; each look-up is one descent of the primary key.
COUNTS_SQL = """
SELECT c.video_id, c.views, c.billable_views
FROM unnest(%s::text[]) AS asked (video_id)
CROSS JOIN LATERAL (
    SELECT * FROM published.video_counts n
    WHERE n.video_id = asked.video_id AND n.version > %s AND n.version <= %s
    ORDER BY n.version DESC LIMIT 1
) c
"""


class PostgresVersions:
    """Both ports of serving on one connection, which is made when needed and made anew after a failure.

    Thread-safe; calls wait for each other, so give the pointer and the counts one instance each. Every call ends within
    a few seconds, whatever the server or the network does.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def current(self) -> ServedVersion | None:
        """Return the current version; see `PublishedVersions`."""
        rows = self._query(CURRENT_SQL, ())
        if not rows:
            return None
        number, offsets, watermarks = rows[0]
        return ServedVersion(number, tuple(offsets["ends"]), min(map(datetime.fromisoformat, watermarks)))

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """Return the counts in force at a version; see `SettledCounts`."""
        return self.changes(video_ids, 0, version)

    def changes(self, video_ids: Sequence[str], after: int, through: int) -> Mapping[str, SettledCount]:
        """Return what versions in (after, through] changed; see `SettledCounts`."""
        rows = self._query(COUNTS_SQL, (list(video_ids), after, through))
        return {video_id: SettledCount(views, billable_views) for video_id, views, billable_views in rows}

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._disconnect()

    def _query(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
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
                raise SettledUnavailableError(" ".join(str(error).split())) from error

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
        options=f"-c statement_timeout={TIMEOUT_MS} -c default_transaction_read_only=on",
    )
    connection.autocommit = True
    return connection
