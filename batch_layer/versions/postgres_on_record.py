"""What a version added to the raw events and what it removed, on record in PostgreSQL."""

import json
from collections.abc import Mapping

from psycopg2.extensions import cursor as Cursor

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.removals import Removal
from batch_layer.versions.postgres_copy import copy_rows


def put_on_record(cursor: Cursor, version: int, archived: Mapping[str, ArchivedFile]) -> None:
    """Store which files a version added to the raw events, with their rows and hashes by partition and hour."""
    files = (
        (path, version, each.status.byte_count, each.status.modified_at.isoformat()) for path, each in archived.items()
    )
    copy_rows(cursor, "published.archived_files (path, version, byte_count, modified_at)", files)
    hours = (
        (path, place.partition, place.hour.isoformat(), content.row_count, content.text)
        for path, each in archived.items()
        for place, content in each.hours.items()
    )
    copy_rows(cursor, "published.archived_hours (path, partition, received_hour, row_count, content_hash)", hours)


def record_removal(cursor: Cursor, version: int, removal: Removal) -> None:
    """Store what a version removed, who ordered it and why."""
    rows = [
        (table, place.partition, place.hour.isoformat(), each.rows.row_count, each.rows.text, each.offsets.text)
        for table, places in sorted(removal.removed.items())
        for place, each in sorted(places.items())
    ]
    cursor.execute(
        "INSERT INTO published.removals (version, kind, before_on, actor, reason, removed) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (
            version,
            "viewer" if removal.before is None else "retention",
            removal.before,
            removal.actor,
            removal.reason,
            json.dumps(rows),
        ),
    )
