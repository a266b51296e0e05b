"""Read the catalogue's facts that billability needs from PostgreSQL."""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

import psycopg2

from batch_layer.lake.postgres_connection import connected
from ingestion.contract.counting import OwnViewer, VideoFacts
from ingestion.contract.unavailable import Part, does_not_answer


class PostgresCatalogueFacts:
    """See the port `CatalogueFacts`. A connection for each call: a run makes two."""

    def __init__(self, url: str) -> None:
        self._url = url

    def latest_version(self) -> int:
        """See the port."""
        found = next(self._rows("SELECT coalesce(max(catalogue_version), 0) FROM billing.catalogues_in_force", ()))[0]
        return int(str(found))

    def facts(self, versions: Collection[int]) -> Iterator[tuple[int, str, VideoFacts]]:
        """See the port."""
        query = """
            SELECT videos.catalogue_version, video_id, length_seconds, owner.user_id, owner.from_on, owner.to_on
            FROM billing.videos LEFT JOIN (
                SELECT owners.catalogue_version, video_id, user_id, from_on, to_on
                FROM billing.owners JOIN billing.payees USING (catalogue_version, payee_id) WHERE user_id IS NOT NULL
            ) AS owner USING (catalogue_version, video_id)
            WHERE videos.catalogue_version = ANY(%s) AND (length_seconds IS NOT NULL OR owner.user_id IS NOT NULL)
            ORDER BY videos.catalogue_version, video_id, owner.from_on, owner.user_id"""
        rows: Iterator[Any] = self._rows(query, (list(versions),))
        for (version, video_id, length_seconds), known in itertools.groupby(rows, key=lambda row: row[:3]):
            viewers = (OwnViewer(*row[3:]) for row in known if row[3] is not None)
            yield version, video_id, VideoFacts(length_seconds, tuple(viewers))

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
            raise does_not_answer(Part.POSTGRES, error) from error
