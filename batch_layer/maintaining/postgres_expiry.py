"""The record of expired versions in PostgreSQL, where views and functions keep the rule."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from psycopg2.extensions import connection as Connection

from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from batch_layer.maintaining.ports import Upkeep


class PostgresExpiry:
    """See the ports `Expiry` and `RawNeeds`. Connects in the constructor."""

    def __init__(self, url: str) -> None:
        with translated():
            self._connection: Connection = connected(url)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def expire(self, run_id: str) -> Sequence[int]:
        """See the port."""
        return sorted(row[0] for row in self._rows("SELECT * FROM published.expire_versions(%s)", run_id))

    def expired(self, before: datetime) -> Sequence[int]:
        """See the port."""
        query = "SELECT version FROM published.expired_versions WHERE expired_at < %s ORDER BY version"
        return [row[0] for row in self._rows(query, before)]

    def current_at(self, instant: datetime) -> int:
        """See the port."""
        query = "SELECT coalesce(max(version), 0) FROM published.versions WHERE published_at < %s"
        return int(self._rows(query, instant)[0][0])

    def needed_from(self) -> tuple[date, str] | None:
        """See the port `RawNeeds`."""
        found = self._rows("SELECT from_on, why FROM published.raw_needed ORDER BY from_on, why LIMIT 1")
        return (found[0][0], found[0][1]) if found else None

    def roll_up_next(self, before: datetime) -> int | None:
        """See the port."""
        found: int | None = self._rows("SELECT published.roll_up_next(%s)", before)[0][0]
        return found

    def upkeep(self) -> Upkeep:
        """See the port."""
        return Upkeep(*self._rows(_UPKEEP)[0])

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())


_UPKEEP = """
SELECT (SELECT count(*) FROM published.versions v JOIN published.pointer p ON v.version <= p.version
        WHERE NOT EXISTS (SELECT FROM published.expired_versions e WHERE e.version = v.version)),
       count(*), min(published_at)
FROM published.expirable_versions"""
