"""The facts of the catalogue that billability needs, from PostgreSQL."""

from collections.abc import Collection, Iterator

import psycopg2

from batch_layer.errors import UnavailableError
from batch_layer.postgres_connection import connected


class PostgresCatalogueFacts:
    """See the port `CatalogueFacts`. A connection for each call: a run asks twice."""

    def __init__(self, url: str) -> None:
        self._url = url

    def latest_version(self) -> int:
        """See the port."""
        found = next(self._rows("SELECT coalesce(max(catalogue_version), 0) FROM billing.catalogue_versions", ()))[0]
        return int(str(found))

    def facts(self, versions: Collection[int]) -> Iterator[tuple[int, str, int | None, str | None]]:
        """See the port."""
        query = """
            SELECT videos.catalogue_version, video_id, length_seconds, payees.user_id
            FROM billing.videos JOIN billing.payees USING (catalogue_version, payee_id)
            WHERE videos.catalogue_version = ANY(%s) AND (length_seconds IS NOT NULL OR payees.user_id IS NOT NULL)"""
        yield from self._rows(query, (list(versions),))  # type: ignore[misc]

    def _rows(self, query: str, values: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
        try:
            connection = connected(self._url)
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute(query, values)
                    yield from cursor.fetchall()
            finally:
                connection.close()
        except psycopg2.OperationalError as error:
            raise UnavailableError(f"PostgreSQL does not answer ({' '.join(str(error).split())})") from error
