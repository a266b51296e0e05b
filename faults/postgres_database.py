"""A fault run's own queries of PostgreSQL, independent of the product."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg2


def administer(url: str, statement: str) -> None:
    """Run one statement outside a transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def queries(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def current_version(url: str) -> tuple[int, list[int], int, str] | None:
    """Return the current version: number, all `offset_end`s, raw rows with removed ones, the id of its run."""
    rows = queries(
        url,
        "WITH removed AS (SELECT coalesce(sum(row_count), 0)::bigint AS row_count"
        " FROM published.removals, published.removed_hours(removed) WHERE table_name = 'raw_events')"
        " SELECT version, offsets -> 'ends', (row_counts ->> 'raw_events')::bigint + removed.row_count, run_id"
        " FROM removed, published.versions JOIN published.pointer USING (version)",
    )
    if not rows:
        return None
    version, ends, raw_count, run_id = rows[0]
    return version, ends, raw_count, run_id


@contextmanager
def migrated_database(server_url: str, name: str) -> Iterator[str]:
    """Make a database with the product's schema beside that of a URL; drop it at the end. Yields its URL."""
    from jobs.wiring.migrations import migrate  # `--list` need not wait for it

    administer(server_url, f"CREATE DATABASE {name}")
    try:
        url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
        migrate(url)
        yield url
    finally:
        administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")
