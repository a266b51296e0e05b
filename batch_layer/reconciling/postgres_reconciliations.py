"""The records of published versions about their files, and the results of comparisons, in PostgreSQL."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from psycopg2.extensions import connection as Connection

from batch_layer.archive.archive_files import FileStatus, Hours, RecordedFile
from batch_layer.archive.removals import Removals
from batch_layer.judging.postgres_group_decisions import NOTED_GROUPS, note_groups
from batch_layer.lake.content import Content, Place
from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from batch_layer.lake.tables import TRAFFIC_OUTCOMES
from batch_layer.reconciling.ports import NotedGroups
from batch_layer.reconciling.reconciliation import Days, Reconciliation
from ingestion.contract.traffic_groups import TrafficGroup


class PostgresReconciliations:
    """See the port `ReconciliationStore`. Connects in the constructor."""

    def __init__(self, url: str) -> None:
        with translated():
            self._connection: Connection = connected(url)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def recorded_files(self, version: int) -> dict[str, RecordedFile]:
        """See the port."""
        return {
            path: RecordedFile(version, FileStatus(byte_count, modified_at.astimezone(UTC)), replaced_in)
            for path, version, byte_count, modified_at, replaced_in in self._rows(_FILES, version)
        }

    def recorded_hours(self, paths: Collection[str]) -> dict[str, Hours]:
        """See the port."""
        return _by_path(self._rows(f"{_HOURS} WHERE path = ANY(%s)", list(paths)))

    def hours_until(self, version: int, days: Days | None) -> dict[str, Hours]:
        """See the port."""
        if days is None:
            return _by_path(self._rows(_HOURS_UNTIL, version, version))
        return _by_path(self._rows(f"{_HOURS_UNTIL} AND {_RECEIVED_DAY} = ANY(%s)", version, version, list(days)))

    def hours_between(self, after: int, until: int) -> dict[str, Hours]:
        """See the port."""
        return _by_path(self._rows(_HOURS_BETWEEN, after, until))

    def removals_until(self, version: int) -> Removals:
        """See the port."""
        offsets: defaultdict[str, dict[Place, Content]] = defaultdict(dict)
        for table, partition, hour, row_count, text in self._rows(_REMOVED, version):
            place = Place(partition, hour.astimezone(UTC))
            offsets[table][place] = offsets[table].get(place, Content()) + Content.parse(row_count, text)
        query = "SELECT max(before_on) FROM published.removals WHERE version <= %s"
        return Removals(dict(offsets), self._rows(query, version)[0][0])

    def judged_days(self, after: int, until: int) -> Days:
        """See the port."""
        return tuple(day for (day,) in self._rows(_JUDGED, after, until))

    def noted_groups(self) -> NotedGroups | None:
        """See the port."""
        rows = self._rows(_NOTED, TRAFFIC_OUTCOMES, TRAFFIC_OUTCOMES)
        if not rows:
            return None
        version, content_hash, snapshot = rows[0][:3]
        groups = frozenset(TrafficGroup(*each[3:]) for each in rows if each[3] is not None)
        return NotedGroups(version, content_hash, snapshot, groups)

    def note_groups(self, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
        """See the port."""
        with translated(), self._connection, self._connection.cursor() as cursor:
            note_groups(cursor, version, content_hash, groups)

    def record(self, kind: str, found: Reconciliation) -> None:
        """See the port."""
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO published.reconciliations (version, kind, received_day, differences) "
                "VALUES (%s, %s, %s, %s)",
                (found.version, kind, _one_day(kind, found.days), json.dumps(found.differences)),
            )

    def unreconciled_versions(self) -> Sequence[int]:
        """See the port."""
        return [version for (version,) in self._rows(_UNRECONCILED)]

    def open_differences(self) -> list[Reconciliation]:
        """See the port."""
        query = "SELECT version, received_day, differences FROM published.open_differences ORDER BY reconciliation_id"
        return [
            Reconciliation(version, None if day is None else (day,), tuple(differences))
            for version, day, differences in self._rows(query)
        ]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())


_NOTED = f"""
    WITH newest AS (
        SELECT v.version, coalesce(v.content_hashes ->> %s, '') AS content_hash,
               CASE WHEN e.version IS NULL THEN (v.snapshots ->> %s)::bigint END AS snapshot
        FROM published.versions v LEFT JOIN published.expired_versions e USING (version)
        WHERE v.version = (SELECT max(version) FROM billing.traffic_sighted)),
    noted AS ({NOTED_GROUPS})
    SELECT newest.*, noted.* FROM newest LEFT JOIN noted ON true"""  # noqa: S608 - names only
_FILES = """
    SELECT path, f.version, byte_count, modified_at, r.version
    FROM published.archived_files f LEFT JOIN published.replaced_files r USING (path)
    WHERE r.version IS NULL OR r.version >= %s"""
_REMOVED = """
    SELECT table_name, partition, received_hour, row_count, offsets_hash
    FROM published.removals r CROSS JOIN LATERAL published.removed_hours(r.removed) WHERE version <= %s"""
_HOURS = "SELECT path, partition, received_hour, row_count, content_hash FROM published.archived_hours"
_HOURS_UNTIL = f"""
    {_HOURS} JOIN published.archived_files f USING (path) LEFT JOIN published.replaced_files r USING (path)
    WHERE f.version <= %s AND (r.version IS NULL OR r.version > %s)"""
_HOURS_BETWEEN = """
    SELECT path, partition, received_hour, row_count, content_hash
    FROM published.archived_hours JOIN published.archived_files USING (path)
    WHERE version > %s AND version <= %s AND version NOT IN (SELECT version FROM published.replaced_files)"""
_RECEIVED_DAY = "(received_hour AT TIME ZONE 'UTC')::date"
_UNRECONCILED = """
    SELECT version FROM published.versions WHERE version > (
        SELECT coalesce(max(version), 0) FROM published.reconciliations WHERE kind = 'run' OR received_day IS NULL)
    ORDER BY version"""
_JUDGED = """
    SELECT DISTINCT judged::date AS day
    FROM published.versions JOIN published.runs USING (run_id),
        jsonb_array_elements_text(detail -> 'judged_days') AS judged
    WHERE versions.version > %s AND versions.version <= %s ORDER BY day"""


def _one_day(kind: str, days: Days | None) -> date | None:
    """Return the day to store; None for a run, whose differences only a comparison of all days clears."""
    return days[0] if kind == "command" and days is not None else None


def _by_path(rows: Iterable[tuple[str, int, datetime, int, str]]) -> dict[str, Hours]:
    found: defaultdict[str, dict[Place, Content]] = defaultdict(dict)
    for path, partition, hour, row_count, text in rows:
        found[path][Place(partition, hour.astimezone(UTC))] = Content.parse(row_count, text)
    return dict(found)
