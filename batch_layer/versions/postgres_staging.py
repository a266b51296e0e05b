"""Store the counts of a run in PostgreSQL until the run is published."""

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field

from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from batch_layer.versions.day_changes import DayChange, InvalidChange, ViewerChange
from batch_layer.versions.ports import VideoCount
from batch_layer.versions.postgres_copy import array_of_numbers, array_of_texts, copy_rows

_COUNTS = "staging.video_counts"
_COUNT_COLUMNS = "run_id, piece, video_id, views, billable_views, watched_seconds"
_DAYS = "staging.video_day_changes"
_DAY_COLUMNS = (
    "run_id, piece, video_id, event_day, views_change, billable_change, seconds_change, quarters, countries, devices, "
    "cell_views, cell_billable, cell_seconds, length_known_change, reached_25_change, reached_50_change, "
    "reached_75_change, reached_100_change"
)
_INVALID = "staging.invalid_changes"
_INVALID_COLUMNS = "run_id, piece, video_id, event_day, invalid_class, events_change, sample_event_ids"

_VIEWERS = "staging.viewer_changes"
_VIEWER_COLUMNS = "run_id, piece, video_id, event_day, viewers_change, came, went"


@dataclass(frozen=True)
class PostgresStaging:
    """See the port `Staging`. It is sent to executors and connects for each piece."""

    url: str = field(repr=False)

    def store_counts(self, run_id: str, piece: int, rows: Iterable[VideoCount]) -> int:
        """See the port."""
        fields = (
            (run_id, piece, each.video_id, each.views, each.billable_views, each.watched_seconds) for each in rows
        )
        return self._replace(_COUNTS, _COUNT_COLUMNS, run_id, piece=piece, rows=fields)

    def store_days(self, run_id: str, piece: int, rows: Iterable[DayChange]) -> int:
        """See the port."""
        fields = ((run_id, piece, *_day_fields(each)) for each in rows)
        return self._replace(_DAYS, _DAY_COLUMNS, run_id, piece=piece, rows=fields)

    def store_invalid(self, run_id: str, piece: int, rows: Iterable[InvalidChange]) -> int:
        """See the port."""
        fields = (
            (run_id, piece, each.video_id, each.event_day, each.invalid_class, each.events,
             json.dumps(list(each.sample_event_ids)))
            for each in rows
        )  # fmt: skip
        return self._replace(_INVALID, _INVALID_COLUMNS, run_id, piece=piece, rows=fields)

    def store_viewers(self, run_id: str, piece: int, rows: Iterable[ViewerChange]) -> int:
        """See the port."""
        fields = (
            (run_id, piece, each.video_id, each.event_day, each.viewers, array_of_texts(each.came),
             array_of_texts(each.went))
            for each in rows
        )  # fmt: skip
        return self._replace(_VIEWERS, _VIEWER_COLUMNS, run_id, piece=piece, rows=fields)

    def _replace(self, table: str, columns: str, run_id: str, *, piece: int, rows: Iterable[tuple[object, ...]]) -> int:
        """Store a piece in one transaction; an attempt that runs beside another one waits for it and then fails."""
        with translated(), closing(connected(self.url)) as connection, connection, connection.cursor() as cursor:
            # the name of the table is one of this module's
            cursor.execute(f"DELETE FROM {table} WHERE run_id = %s AND piece = %s", (run_id, piece))  # noqa: S608
            return copy_rows(cursor, f"{table} ({columns})", rows)


def _day_fields(change: DayChange) -> tuple[object, ...]:
    cells = change.cells
    return (
        change.video_id,
        change.event_day,
        change.views,
        change.billable_views,
        change.watched_seconds,
        array_of_numbers(each.quarter for each in cells),
        array_of_texts(each.country for each in cells),
        array_of_texts(each.device_type for each in cells),
        array_of_numbers(each.views for each in cells),
        array_of_numbers(each.billable_views for each in cells),
        array_of_numbers(each.watched_seconds for each in cells),
        change.length_known_views,
        change.reached_25,
        change.reached_50,
        change.reached_75,
        change.reached_100,
    )
