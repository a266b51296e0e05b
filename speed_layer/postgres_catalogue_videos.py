"""Follow the videos of the catalogue in PostgreSQL."""

import logging
from collections.abc import Callable
from contextlib import closing

import psycopg2

from ingestion.contract.postgres_address import next_server_first
from ingestion.contract.unavailable import one_line
from speed_layer.postgres_published_offsets import READING

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 2
FOLLOW_SECONDS = 15.0
PAGE_ROWS = 20_000
NEWEST = "SELECT max(catalogue_version) FROM billing.catalogue_versions"
PAGE = """
    SELECT video_id FROM billing.videos WHERE catalogue_version = %s AND video_id > %s ORDER BY video_id LIMIT %s
"""


class PostgresCatalogueVideos:
    """The ids of the newest catalogue's videos, as a container; empty until PostgreSQL has answered once.

    Keeps a hash of each id, 64 bytes in memory: one of a billion unknown ids may be mistaken for a known one.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._version = 0
        self._known: frozenset[int] = frozenset()

    def __contains__(self, video_id: object) -> bool:
        return hash(video_id) in self._known

    def follow(self, stopping: Callable[[float], bool]) -> None:
        """Read a newer catalogue every 15 seconds until `stopping(seconds)`, which waits, returns true.

        While PostgreSQL does not answer, the last known videos stay.
        """
        while True:
            try:
                self.refresh()
            except psycopg2.Error as error:
                self._url = next_server_first(self._url)
                reason = one_line(error)
                logger.warning("the catalogue's videos were not refreshed", extra={"fields": {"reason": reason}})
            if stopping(FOLLOW_SECONDS):
                return

    def refresh(self) -> None:
        """Read the newest catalogue unless it is already known; raise psycopg2.Error."""
        connection = psycopg2.connect(
            self._url,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="viewledger-speed-catalogue",
        )
        with closing(connection):
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(READING + NEWEST)
                ((version,),) = cursor.fetchall()
                if version is None or version == self._version:
                    return
                known: set[int] = set()
                last = ""
                while True:
                    cursor.execute(READING + PAGE, (version, last, PAGE_ROWS))
                    page = [video_id for (video_id,) in cursor.fetchall()]
                    known.update(map(hash, page))
                    if len(page) < PAGE_ROWS:
                        break
                    last = page[-1]
        self._version, self._known = version, frozenset(known)
