"""The reporting schema: every word explained, right numbers, and a role that can do nothing but read it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest

from tests.billing_postgres import own_database

VIEWS = (
    "batch_runs", "channel_days", "channel_spans", "day_sums", "days", "invalid_traffic", "ledger_balances",
    "ledger_totals", "statement_lines", "statements", "tally", "under_review", "unique_viewers", "versions",
    "video_counts", "video_days", "video_spans", "videos",
)  # fmt: skip
ROWS = """
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
SELECT version, 'run-' || version, '{}', %(watermarks)s, '{}', '{"events": 7, "views_by_video": 2}', '{}', '{}'
FROM generate_series(1, 3) AS version;
INSERT INTO published.pointer VALUES (true, 1);
UPDATE published.pointer SET version = 2;
INSERT INTO published.video_counts VALUES
    ('a', 1, 3, 2, NULL), ('a', 2, 5, 4, 40), ('b', 1, 1, 1, NULL), ('b', 3, 100, 100, 100);
INSERT INTO published.video_day_changes VALUES
    ('a', '2026-11-20', 1, 3, 2, '{0}', '{DE}', '{tv}', '{3}', '{2}', NULL, NULL),
    ('a', '2026-11-20', 2, 2, 2, '{1}', '{DE}', '{tv}', '{2}', '{2}', 40, '{40}'),
    ('a', '2026-11-20', 3, 100, 100, '{1}', '{DE}', '{tv}', '{100}', '{100}', 100, '{100}'),
    ('b', '2026-11-21', 1, 1, 1, '{0}', '{DE}', '{tv}', '{1}', '{1}', NULL, NULL);
INSERT INTO published.invalid_changes VALUES
    ('a', '2026-11-20', 'robot', 1, 3, '["x"]'), ('a', '2026-11-20', 'robot', 2, -1, '[]'),
    ('a', '2026-11-20', 'origin', 1, 2, '[]'), ('a', '2026-11-20', 'origin', 2, -2, '[]'),
    ('a', '2026-11-20', 'robot', 3, 100, '[]');
INSERT INTO published.viewer_changes VALUES
    ('a', '2026-11-20', 1, 3, '{}', '{}'), ('a', '2026-11-20', 2, -1, '{}', '{}'),
    ('a', '2026-11-20', 3, 100, '{}', '{}'),
    ('b', '2026-11-21', 1, 1, '{}', '{}'), ('b', '2026-11-21', 2, -1, '{}', '{}');
INSERT INTO published.runs (run_id, kind, state, started_at, ended_at, detail)
VALUES ('refused', 'incremental', 'gate_failed', '2026-11-20Z', '2026-11-20 00:01Z', '{"failures": ["42 views of c"]}');
"""


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url, with_versions=False) as url:
        watermarks = json.dumps(["2026-11-20T10:00:00+00:00", "2026-11-20T12:00:00+02:00", "2026-11-20T11:00:00Z"])
        run(url, ROWS, {"watermarks": watermarks})
        yield url


def run(url: str, query: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    """What a query of the reporting role's own connection answers; as the owner when it brings values."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        if values is None:
            cursor.execute("SET ROLE viewledger_reporting")
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def test_every_view_and_column_says_what_it_is(url: str) -> None:
    described = run(
        url,
        "SELECT relname, attname, obj_description(c.oid), col_description(c.oid, attnum) FROM pg_class c "
        "JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 WHERE relnamespace = 'reporting'::regnamespace",
    )
    assert {row[0] for row in described} == set(VIEWS)
    assert not [row for row in described if not row[2] or not row[3]]


@pytest.mark.parametrize("view", VIEWS)
def test_the_role_reads_every_view_and_changes_none(url: str, view: str) -> None:
    run(url, f"SELECT * FROM reporting.{view}")
    for change in (f"DELETE FROM reporting.{view}", f"INSERT INTO reporting.{view} DEFAULT VALUES"):
        with pytest.raises(psycopg2.Error, match=r"permission denied|cannot (delete from|insert into) view"):
            run(url, change)


@pytest.mark.parametrize("table", ["published.runs", "published.versions", "billing.statements", "billing.payees"])
def test_the_role_sees_only_the_views(url: str, table: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        run(url, f"SELECT * FROM {table}")


def test_the_counts_are_those_of_the_pointer_and_no_later_ones(url: str) -> None:
    columns = "video_id, views, billable_views, changed_in_version, watched_seconds, average_view_duration"
    counted = [("a", 5, 4, 2, 40, 8), ("b", 1, 1, 1, None, None)]
    for view in ("video_counts", "video_days"):
        assert run(url, f"SELECT {columns} FROM reporting.{view} ORDER BY video_id") == counted, view


def test_the_viewers_are_those_of_the_pointer(url: str) -> None:
    assert run(url, "SELECT * FROM reporting.unique_viewers") == [("a", date(2026, 11, 20), 2, 2)]


def test_a_version_is_settled_as_far_as_its_slowest_partition(url: str) -> None:
    rows = run(
        url,
        "SELECT version, event_count, is_current, settled_until = '2026-11-20T10:00:00Z' FROM reporting.versions "
        "ORDER BY version",
    )
    assert rows == [(1, 7, False, True), (2, 7, True, True)]


def test_of_a_refused_run_only_its_end_is_known(url: str) -> None:
    rows = run(url, "SELECT * FROM reporting.batch_runs")
    assert [(row[2], row[3], float(row[6]), row[7]) for row in rows] == [("gate_failed", None, 60.0, None)]
    assert "42" not in repr(rows)
