"""Published versions over time, read from PostgreSQL: sums of the day changes up to a version."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from ingestion.contract.traffic_reasons import InvalidClass
from ingestion.contract.version import ExpiredVersionError
from serving_layer.access.postgres_reads import PooledReads
from serving_layer.counts.merge import ServedVersion, SettledCount
from serving_layer.counts.postgres_versions import COUNTS_SQL, served_version
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.ports import QueryTooSlowError
from serving_layer.history.series import CompletionSum, VideoSum, ViewerSum, WindowSum
from serving_layer.request.parameters import SeriesQuery, TopQuery
from serving_layer.request.windows import day_of

CONNECTIONS = 2

_SELECT = """
SELECT v.version, v.offsets, v.watermarks, e.expired_at,
    (SELECT min(n.version) FROM published.versions n WHERE n.version > v.version
        AND NOT EXISTS (SELECT FROM published.expired_versions g WHERE g.version = n.version))
FROM published.versions v LEFT JOIN published.expired_versions e ON e.version = v.version
"""
_VERSION_SQL = f"{_SELECT} WHERE v.version = %s"
_VERSION_AT_SQL = f"{_SELECT} WHERE v.published_at <= %s ORDER BY v.version DESC LIMIT 1"
_TOTALS_SQL = f"SELECT coalesce(sum(views), 0)::bigint, coalesce(sum(billable_views), 0)::bigint FROM ({COUNTS_SQL}) c"  # noqa: S608
# Windows that begin and end with UTC days need no cells.
_DAYS_SQL = """
SELECT width_bucket((event_day - DATE '1970-01-01') * 96, %s::integer[]) - 1, '', '',
       sum(views_change)::bigint, sum(billable_change)::bigint, sum(seconds_change)::bigint
FROM published.video_day_changes
WHERE video_id = ANY(%s) AND event_day BETWEEN %s AND %s AND version <= %s
GROUP BY 1
"""
_COMPLETION_SQL = """
SELECT width_bucket((event_day - DATE '1970-01-01') * 96, %s::integer[]) - 1, sum(length_known_change)::bigint,
       sum(reached_25_change)::bigint, sum(reached_50_change)::bigint, sum(reached_75_change)::bigint,
       sum(reached_100_change)::bigint
FROM published.video_day_changes
WHERE video_id = ANY(%s) AND event_day BETWEEN %s AND %s AND version <= %s
GROUP BY 1
"""
_CELLS_SQL = """
SELECT width_bucket((d.event_day - DATE '1970-01-01') * 96 + c.quarter, %s::integer[]) - 1, {country}, {device},
       sum(c.views)::bigint, sum(c.billable)::bigint, sum(c.seconds)::bigint
FROM published.video_day_changes d
CROSS JOIN LATERAL unnest(d.quarters, d.countries, d.devices, d.cell_views, d.cell_billable, d.cell_seconds)
    AS c (quarter, country, device, views, billable, seconds)
WHERE d.video_id = ANY(%s) AND d.event_day BETWEEN %s AND %s AND d.version <= %s
  AND (d.event_day - DATE '1970-01-01') * 96 + c.quarter >= %s
  AND (d.event_day - DATE '1970-01-01') * 96 + c.quarter < %s
GROUP BY 1, 2, 3
"""
# who is known is counted once in a window; who is not, once for each video and day
_VIEWERS_SQL = """
WITH changes AS (
    SELECT width_bucket((event_day - DATE '1970-01-01') * 96, %s::integer[]) - 1 AS win, video_id, event_day,
           viewers_change, came, went
    FROM published.viewer_changes WHERE video_id = ANY(%s) AND event_day BETWEEN %s AND %s AND version <= %s
), known AS (
    SELECT c.win, u.viewer
    FROM changes c CROSS JOIN LATERAL (SELECT unnest(c.came), 1 UNION ALL SELECT unnest(c.went), -1)
        AS u (viewer, change)
    GROUP BY c.win, c.video_id, c.event_day, u.viewer HAVING sum(u.change) > 0
), people AS (
    SELECT win, count(DISTINCT viewer) AS viewers, count(*) AS viewer_days FROM known GROUP BY win
), numbers AS (
    SELECT win, sum(viewers_change) AS viewer_days FROM changes GROUP BY win
)
SELECT n.win, (n.viewer_days - coalesce(p.viewer_days, 0) + coalesce(p.viewers, 0))::bigint,
       (n.viewer_days - coalesce(p.viewer_days, 0))::bigint
FROM numbers n LEFT JOIN people p ON p.win = n.win
"""
_HAS_VIEWERS_SQL = "SELECT snapshots ? 'unique_viewers_by_video_day' FROM published.versions WHERE version = %s"
_TOP_SQL = """
SELECT video_id, sum(views_change)::bigint AS views, sum(billable_change)::bigint AS billable_views
FROM published.video_day_changes
WHERE event_day >= %s AND event_day < %s AND version <= %s{among}
GROUP BY video_id HAVING sum({by}) > 0
ORDER BY sum({by}) DESC, video_id LIMIT %s
"""
_INVALID_SQL = """
WITH shown AS (
    SELECT day_rules, (SELECT min(value::timestamptz) FROM jsonb_array_elements_text(watermarks)) AS settled_until
    FROM published.versions WHERE version = %s
)
SELECT i.event_day, i.invalid_class, sum(i.events_change)::bigint,
       (array_agg(i.sample_event_ids ORDER BY i.video_id, i.version DESC)
        FILTER (WHERE jsonb_array_length(i.sample_event_ids) > 0))[1]
FROM published.invalid_changes i CROSS JOIN shown s
WHERE i.video_id = ANY(%s) AND i.event_day >= %s AND i.event_day < %s AND i.version <= %s
  AND CASE WHEN s.day_rules -> i.event_day::text ? 'traffic'
           THEN s.day_rules -> i.event_day::text -> 'traffic' ? 'ends'
           ELSE s.settled_until >= (i.event_day + 2)::timestamp AT TIME ZONE 'UTC' END
GROUP BY i.event_day, i.invalid_class HAVING sum(i.events_change) <> 0
ORDER BY i.event_day, i.invalid_class
"""
_CHANGE = {"views": "views_change", "billable_views": "billable_change"}


class PostgresHistory:
    """See the port `SettledHistory`. Thread-safe; at most CONNECTIONS queries run at once."""

    def __init__(self, url: str) -> None:
        self._reads = PooledReads(url, QueryTooSlowError, connections=CONNECTIONS)

    def version(self, number: int) -> ServedVersion | None:
        """See the port."""
        return _kept(self._reads.query(_VERSION_SQL, (number,)))

    def version_at(self, instant: datetime) -> ServedVersion | None:
        """See the port."""
        return _kept(self._reads.query(_VERSION_AT_SQL, (instant,)))

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        """See the port."""
        rows = self._reads.query(COUNTS_SQL, (list(video_ids), 0, version))
        return {video_id: SettledCount(views, billable_views) for video_id, views, billable_views in rows}

    def totals(self, video_ids: Sequence[str], version: int) -> SettledCount:
        """See the port."""
        return SettledCount(*self._reads.query(_TOTALS_SQL, (list(video_ids), 0, version))[0])

    def series(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[WindowSum]:
        """See the port."""
        start, end = query.edges[0], query.edges[-1]
        arguments = _of_days(video_ids, version, query)
        if not query.group_by and query.is_by_day:
            return [WindowSum(*row) for row in self._reads.query(_DAYS_SQL, arguments)]
        columns = {each: f"c.{each}" if each in query.group_by else "''" for each in ("country", "device")}
        return [WindowSum(*row) for row in self._reads.query(_CELLS_SQL.format(**columns), (*arguments, start, end))]

    def viewers(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[ViewerSum] | None:
        """See the port."""
        if not all(row[0] for row in self._reads.query(_HAS_VIEWERS_SQL, (version,))):
            return None
        return [ViewerSum(*row) for row in self._reads.query(_VIEWERS_SQL, _of_days(video_ids, version, query))]

    def completion(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[CompletionSum]:
        """See the port."""
        return [CompletionSum(*row) for row in self._reads.query(_COMPLETION_SQL, _of_days(video_ids, version, query))]

    def top(self, version: int, query: TopQuery, most: int) -> list[VideoSum]:
        """See the port."""
        among = () if query.among is None else (list(query.among),)
        sql = _TOP_SQL.format(by=_CHANGE[query.by], among=" AND video_id = ANY(%s)" if among else "")
        arguments = (query.start_on, query.end_on, version, *among, most)
        return [VideoSum(*row) for row in self._reads.query(sql, arguments)]

    def invalid(self, video_ids: Sequence[str], version: int, start_on: date, end_on: date) -> list[InvalidSum]:
        """See the port."""
        rows = self._reads.query(_INVALID_SQL, (version, list(video_ids), start_on, end_on, version))
        return [InvalidSum(day, InvalidClass(name), events, tuple(ids or ())) for day, name, events, ids in rows]

    def close(self) -> None:
        """Disconnect."""
        self._reads.close()


def _of_days(video_ids: Sequence[str], version: int, query: SeriesQuery) -> tuple[object, ...]:
    """Return the arguments of a query by windows: where they start, the videos, the first and last day, the version."""
    days = (day_of(query.edges[0]), day_of(query.edges[-1] - 1))
    return (list(query.edges[:-1]), list(video_ids), *days, version)


def _kept(rows: Sequence[tuple[Any, ...]]) -> ServedVersion | None:
    if not rows:
        return None
    *row, expired_at, next_kept = rows[0]
    if expired_at is not None:
        raise ExpiredVersionError(row[0], expired_at, next_kept)
    return served_version(tuple(row))
