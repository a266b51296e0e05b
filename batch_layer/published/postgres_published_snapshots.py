"""The published snapshots and the places of the tables' metadata, from PostgreSQL, by read-only connections."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg2

from batch_layer.published.published_metadata import PublishedSnapshot
from ingestion.contract.unavailable import Part, does_not_answer
from ingestion.contract.version import ExpiredVersionError


class PostgresPublishedSnapshots:
    """See the port `PublishedSnapshots`. A connection for each call: a query looks up a table once."""

    def __init__(self, url: str) -> None:
        self._url = url

    def current(self) -> int | None:
        """See the port."""
        rows = self._rows("SELECT version FROM published.pointer")
        return rows[0][0] if rows else None

    def versions(self) -> Sequence[int]:
        """See the port."""
        return [row[0] for row in self._rows(f"SELECT version {_PUBLISHED} AND expired_at IS NULL ORDER BY version")]

    def check_kept(self, version: int) -> None:
        """See the port."""
        rows = self._rows(
            f"SELECT expired_at, (SELECT min(version) {_PUBLISHED} AND expired_at IS NULL AND version > %s) "
            f"{_PUBLISHED} AND version = %s AND expired_at IS NOT NULL",
            version,
            version,
        )
        for expired_at, next_kept in rows:
            raise ExpiredVersionError(version, expired_at, next_kept)

    def manifests(self) -> Sequence[Mapping[str, Any]]:
        """See the port. `settled_until` is the earliest watermark: all events received before it are counted."""
        rows = self._rows(
            f"SELECT version, run_id, published_at, watermarks, row_counts, expired_at {_PUBLISHED} ORDER BY version"
        )
        return [
            {
                "version": version,
                "run_id": run_id,
                "published_at": published_at.astimezone(UTC).isoformat(),
                "settled_until": min(map(datetime.fromisoformat, watermarks)).astimezone(UTC).isoformat(),
                "rows": row_counts,
                "expired_at": expired_at and expired_at.astimezone(UTC).isoformat(),
            }
            for version, run_id, published_at, watermarks, row_counts, expired_at in rows
        ]

    def of_table(self, table: str, version: int) -> Sequence[PublishedSnapshot]:
        """See the port."""
        rows = self._rows(
            f"SELECT version, published_at, (snapshots ->> %s)::bigint, expired_at IS NULL "
            f"{_PUBLISHED} AND version <= %s ORDER BY version",
            table,
            version,
        )
        return [PublishedSnapshot(*row) for row in rows]

    def published_at(self) -> dict[int, datetime]:
        """Return when each version was published, oldest first; expired ones included."""
        return dict(self._rows(f"SELECT version, published_at {_PUBLISHED} ORDER BY version"))

    def login_that_may_write(self) -> str | None:
        """Return the login's name if it may change what is read here; None if it may not."""
        rows = self._rows(
            "SELECT current_user FROM unnest(%s) AS name "
            "WHERE has_table_privilege(name, 'INSERT, UPDATE, DELETE, TRUNCATE') LIMIT 1",
            ["iceberg_tables", "published.versions", "published.pointer"],
        )
        return rows[0][0] if rows else None

    def metadata_location(self, catalog: str, namespace: str, table: str) -> str | None:
        """Return where a table's newest metadata lies, from the JDBC catalogue; None if there is no such table."""
        rows = self._rows(
            "SELECT metadata_location FROM iceberg_tables "
            "WHERE catalog_name = %s AND table_namespace = %s AND table_name = %s",
            catalog,
            namespace,
            table,
        )
        return rows[0][0] if rows else None

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            connection = psycopg2.connect(self._url, connect_timeout=5, application_name="viewledger-sql")
            try:
                connection.set_session(readonly=True)  # of each transaction that begins here
                with connection, connection.cursor() as cursor:
                    cursor.execute(query, values)
                    return list(cursor.fetchall())
            finally:
                connection.close()
        except psycopg2.Error as error:
            raise does_not_answer(Part.POSTGRES, error) from error


_PUBLISHED = """
    FROM (SELECT v.*, e.expired_at FROM published.versions v
          LEFT JOIN published.expired_versions e ON e.version = v.version) AS listed
    WHERE version <= (SELECT version FROM published.pointer)"""
