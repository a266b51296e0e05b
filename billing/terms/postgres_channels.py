"""The owners of videos, for those who show counts: queries of the catalogue's tables."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Runs one query with its arguments and returns all rows."""

# The catalogue to query and the day (UTC) of the ownership: now, or when a version was published.
_NOW = "SELECT max(catalogue_version), (now() AT TIME ZONE 'UTC')::date FROM billing.catalogues_in_force"
_AT_VERSION = """
SELECT max(c.catalogue_version), (v.published_at AT TIME ZONE 'UTC')::date
FROM published.versions v JOIN billing.catalogues_in_force c ON c.in_force_at <= v.published_at
WHERE v.version = %s GROUP BY v.published_at
"""
_HAS_PAYEE = "SELECT EXISTS (SELECT 1 FROM billing.payees WHERE catalogue_version = %s AND payee_id = %s)"
_VIDEOS = """
SELECT DISTINCT video_id FROM billing.owners
WHERE catalogue_version = %s AND payee_id = %s AND from_on <= %s AND %s < to_on ORDER BY video_id
"""
_PAYEES = f"""
WITH asked (catalogue_version, day) AS ({_NOW})
SELECT video_id, payee_id FROM asked JOIN billing.owners USING (catalogue_version)
WHERE video_id = ANY(%s) AND from_on <= day AND day < to_on
"""
_TITLES = f"""
WITH asked (catalogue_version, day) AS ({_NOW})
SELECT video_id, title FROM asked JOIN billing.videos USING (catalogue_version)
WHERE video_id = ANY(%s) AND title IS NOT NULL
"""


class ChannelQueries:
    """Answers from the newest catalogue, or from the one that was in force when a version was published."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def video_ids(self, payee_id: str, published_by: int | None) -> list[str] | None:
        """Return the videos of which a payee owns a share, in order; None if the payee is not in the catalogue."""
        rows = self._query(_NOW, ()) if published_by is None else self._query(_AT_VERSION, (published_by,))
        catalogue, day = rows[0] if rows else (None, None)
        if catalogue is None or not self._query(_HAS_PAYEE, (catalogue, payee_id))[0][0]:
            return None
        return [video_id for (video_id,) in self._query(_VIDEOS, (catalogue, payee_id, day, day))]

    def payees(self, video_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Return the present owners of each video; a video without an owner is absent."""
        found: dict[str, set[str]] = {}
        for video_id, payee_id in self._query(_PAYEES, (list(video_ids),)):
            found.setdefault(video_id, set()).add(payee_id)
        return {video_id: frozenset(payees) for video_id, payees in found.items()}

    def titles(self, video_ids: Collection[str]) -> dict[str, str]:
        """Return the titles of videos in the newest catalogue; a video without one is absent."""
        return dict(self._query(_TITLES, (list(video_ids),)))
