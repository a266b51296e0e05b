"""Publish what a run has staged in PostgreSQL, within the transaction of its version."""

from psycopg2.extensions import cursor as Cursor

from batch_layer.versions.ports import StagedCounts
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion

# in the order of the published table's key
_TAKE_COUNTS = """
    INSERT INTO published.video_counts (video_id, version, views, billable_views, watched_seconds)
    SELECT video_id, %s, views, billable_views, watched_seconds
    FROM staging.video_counts WHERE run_id = %s ORDER BY video_id"""
_TAKE_DAYS = """
    INSERT INTO published.video_day_changes (video_id, event_day, version, views_change, billable_change,
        seconds_change, quarters, countries, devices, cell_views, cell_billable, cell_seconds,
        length_known_change, reached_25_change, reached_50_change, reached_75_change, reached_100_change)
    SELECT video_id, event_day, %s, views_change, billable_change,
        seconds_change, quarters, countries, devices, cell_views, cell_billable, cell_seconds,
        length_known_change, reached_25_change, reached_50_change, reached_75_change, reached_100_change
    FROM staging.video_day_changes WHERE run_id = %s ORDER BY video_id, event_day"""
_TAKE_INVALID = """
    INSERT INTO published.invalid_changes (video_id, event_day, invalid_class, version, events_change, sample_event_ids)
    SELECT video_id, event_day, invalid_class, %s, events_change, sample_event_ids
    FROM staging.invalid_changes WHERE run_id = %s ORDER BY video_id, event_day, invalid_class"""
_TAKE_VIEWERS = """
    INSERT INTO published.viewer_changes (video_id, event_day, version, viewers_change, came, went)
    SELECT video_id, event_day, %s, viewers_change, came, went
    FROM staging.viewer_changes WHERE run_id = %s ORDER BY video_id, event_day"""
DROP_STAGED = (
    "TRUNCATE staging.video_counts, staging.video_day_changes, staging.invalid_changes, staging.viewer_changes"
)


def take_staged(cursor: Cursor, version: PublishedVersion, staged: StagedCounts) -> None:
    """Publish the run's staged rows, and leave none behind."""
    for query, what, count in (
        (_TAKE_COUNTS, "counts", staged.video_count),
        (_TAKE_DAYS, "day changes", staged.day_count),
        (_TAKE_INVALID, "changes of invalid traffic", staged.invalid_count),
        (_TAKE_VIEWERS, "changes of viewers", staged.viewer_count),
    ):
        cursor.execute(query, (version.version, version.run_id))
        if cursor.rowcount != count:
            raise UnavailableError(
                Part.POSTGRES,
                f"PostgreSQL has {cursor.rowcount:,} of the {count:,} {what} that run {version.run_id} has stored; "
                "nothing was published, run it again",
            )
    cursor.execute(DROP_STAGED)
