"""What is published, as the speed process learns it from PostgreSQL."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg2
import pytest

from ingestion.contract.offsets import OffsetVector
from speed_layer.errors import TopicSettingsError, UnavailableError
from speed_layer.ports import Published
from speed_layer.postgres_published_offsets import PostgresPublishedOffsets
from tests.billing_postgres import own_database

AT = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url, with_versions=False) as url:
        yield url


def publish(url: str, version: int, *ends: int) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts,"
            " content_hashes, day_rules) VALUES (%s, %s, %s, %s, '{}', '{}', '{}', '{}')",
            (
                version,
                f"run{version}",
                json.dumps({"topic": "views", "ends": ends}),
                json.dumps([AT.isoformat()] * len(ends)),
            ),
        )
        cursor.execute(
            "INSERT INTO published.pointer (version) VALUES (%s)"
            " ON CONFLICT (only_row) DO UPDATE SET version = excluded.version",
            (version,),
        )
    connection.close()


def test_the_version_under_the_pointer_is_told(database: str) -> None:
    published = PostgresPublishedOffsets(database, "views")
    assert published.current() is None
    publish(database, 1, 3, 4)
    assert published.current() == Published(OffsetVector("views", (3, 4)), (AT, AT))
    publish(database, 2, 5, 4)
    assert published.current() == Published(OffsetVector("views", (5, 4)), (AT, AT))


def test_without_the_tables_nothing_is_published(postgres_url: str) -> None:
    assert PostgresPublishedOffsets(postgres_url.rpartition("/")[0] + "/postgres", "views").current() is None


def test_a_server_that_never_answered_leaves_it_unknown() -> None:
    with pytest.raises(UnavailableError, match="PostgreSQL"):
        PostgresPublishedOffsets("postgresql://nobody@127.0.0.1:1/nothing", "views").current()


def test_after_a_broken_connection_it_connects_anew(database: str) -> None:
    published = PostgresPublishedOffsets(database, "views")
    publish(database, 1, 3)
    first = published.current()
    publish(database, 2, 7)
    connection = psycopg2.connect(database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'viewledger-speed' AND datname = current_database()"
        )
    connection.close()
    with pytest.raises(UnavailableError, match="PostgreSQL"):
        published.current()
    found = published.current()
    assert found is not None
    assert first is not None
    assert (first.offsets.ends, found.offsets.ends) == ((3,), (7,))


def test_a_version_of_another_topic_is_refused(database: str) -> None:
    publish(database, 1, 3)
    with pytest.raises(TopicSettingsError, match="counted from topic views"):
        PostgresPublishedOffsets(database, "other").current()
