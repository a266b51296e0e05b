"""Published versions and their counts, read from PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from serving_layer.access.postgres_reads import PostgresReads
from serving_layer.counts.merge import ServedVersion, SettledCount

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
    """Both ports of serving on one connection: use an instance for the pointer and one for the counts."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresReads(url)

    def current(self) -> ServedVersion | None:
        """Return the current version; see `PublishedVersions`."""
        rows = self._reads.query(CURRENT_SQL, ())
        return served_version(rows[0]) if rows else None

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """Return the counts in force at a version; see `SettledCounts`."""
        return self.changes(video_ids, 0, version)

    def changes(self, video_ids: Sequence[str], after: int, through: int) -> Mapping[str, SettledCount]:
        """Return the changes of versions in (after, through]; see `SettledCounts`."""
        rows = self._reads.query(COUNTS_SQL, (list(video_ids), after, through))
        return {video_id: SettledCount(views, billable_views) for video_id, views, billable_views in rows}

    def close(self) -> None:
        """Disconnect."""
        self._reads.close()


def served_version(row: tuple[Any, ...]) -> ServedVersion:
    """Return the version of a row (version, offsets, watermarks)."""
    number, offsets, watermarks = row
    return ServedVersion(number, tuple(offsets["ends"]), min(map(datetime.fromisoformat, watermarks)))
