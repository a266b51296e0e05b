"""What is published, as the speed process learns it from PostgreSQL."""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import psycopg2
import pytest

from batch_layer.errors import RefusedError
from batch_layer.versions.postgres_log_generations import PostgresLogGenerations
from ingestion.contract.offsets import LogGeneration, OffsetVector
from ingestion.contract.unavailable import UnavailableError
from speed_layer import postgres_catalogue_videos
from speed_layer.errors import TopicSettingsError
from speed_layer.ports import Published
from speed_layer.postgres_catalogue_videos import PostgresCatalogueVideos
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


def test_after_a_broken_connection_it_reconnects(database: str) -> None:
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


def test_the_first_log_goes_on_record_another_is_refused_and_the_next_generation_is_told_to_everybody(
    database: str,
) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    published = PostgresPublishedOffsets(database, "views")
    with closing(PostgresLogGenerations(database, "views")) as generations:
        assert generations.newest() is None
        assert generations.checked(first) == LogGeneration(0, first)
        assert generations.checked(first) == LogGeneration(0, first)
        with pytest.raises(RefusedError, match=f"its id is {second}, and {first} is on record"):
            generations.checked(second)
        received = published.current()
        assert received is not None
        assert (received.generation, received.end_of(0), received.end_of(5)) == (LogGeneration(0, first), 0, 0)
        publish(database, 1, 3, 4)
        begun = generations.begin(second, "olga", "the disk burnt")
        assert (begun.number, begun.base) == (1, 1 << 40)
        assert generations.checked(second) == begun
    assert published.current() == Published(OffsetVector("views", (3, 4)), (AT, AT), generation=begun)
    with closing(PostgresLogGenerations(database, "another")) as of_another:
        assert of_another.newest() is None
    connection = psycopg2.connect(database)
    with pytest.raises(psycopg2.DatabaseError, match="append-only"), connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM published.log_generations")
    connection.close()


def import_catalogue(url: str, version: int, *video_ids: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (%s, %s, 'test')",
            (version, f"hash {version}"),
        )
        cursor.executemany(
            "INSERT INTO billing.videos (catalogue_version, video_id) VALUES (%s, %s)",
            [(version, video_id) for video_id in video_ids],
        )
    connection.close()


def test_the_videos_of_the_newest_catalogue_are_known_page_by_page(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_catalogue_videos, "PAGE_ROWS", 3)
    known = PostgresCatalogueVideos(database)
    known.refresh()
    assert "-a" not in known, "there is no catalogue"
    ids = ["-a", "_B", "b", "A", "é-no", "Zz", "00"]
    import_catalogue(database, 1, *ids)
    known.refresh()
    assert [video_id in known for video_id in (*ids, "c")] == [True] * 7 + [False]
    import_catalogue(database, 2, "c")
    known.refresh()
    assert [video_id in known for video_id in ("-a", "c")] == [False, True]


def test_without_postgres_the_videos_known_last_stay_known(database: str) -> None:
    import_catalogue(database, 1, "-a")
    known = PostgresCatalogueVideos(database)
    known.refresh()
    known._url = "postgresql://nobody@127.0.0.1:1/nothing"
    known.follow(lambda seconds: True)
    assert "-a" in known
