"""Publishes versions to a real PostgreSQL for serving's tests."""

import json
from collections.abc import Mapping

import psycopg2

from tests.serving_fakes import PARTITIONS, SETTLED_UNTIL


def publish(url: str, counts: Mapping[str, tuple[int, int]], *, partition_count: int = PARTITIONS) -> None:
    """One version in one transaction, as the batch layer does it; version n ends at offset 100 n everywhere."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(version), 0) + 1 FROM published.versions")
        (number,) = cursor.fetchone() or (1,)
        cursor.execute(
            "INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts,"
            " content_hashes, day_rules) VALUES (%s, %s, %s, %s, '{}', '{}', '{}', '{}')",
            (
                number,
                f"run-{number}",
                json.dumps({"topic": "video-views", "ends": [100 * number] * partition_count}),
                json.dumps(["2026-11-23T09:00:00+00:00", SETTLED_UNTIL.isoformat(), "2026-11-23T08:30:00Z"]),
            ),
        )
        for video_id, (views, billable_views) in counts.items():
            cursor.execute(
                "INSERT INTO published.video_counts VALUES (%s, %s, %s, %s)", (video_id, number, views, billable_views)
            )
        cursor.execute(
            "INSERT INTO published.pointer (version) VALUES (%s) ON CONFLICT (only_row) DO UPDATE SET version = %s",
            (number, number),
        )
    connection.close()
