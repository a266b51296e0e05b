"""Executors of a real Spark store a run's counts in a real PostgreSQL."""

import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.lake.spark_errors import translated
from batch_layer.versions.ports import StagedCounts
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.spark_day_changes import day_changes, invalid_changes, viewer_changes
from batch_layer.versions.spark_staging import Changed, stage
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.unavailable import Part, UnavailableError
from tests.billing_postgres import own_database

VIDEOS, PIECES = 3_000, 5
CODES = ["declared_robot", "device_contradicted", "shared_session", "even_pauses"]
DEVICES = ["tv", 'q"uote', "back\\slash", "tab\there"]
SECRET = "of-nobody's-business"


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url, with_versions=False) as own:
        yield own


def rows_of(url: str, query: str) -> list[tuple]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def counts(spark: SparkSession) -> DataFrame:
    columns = ("concat('v', id) AS video_id", "id + 2 AS views", "id AS billable_views", "id * 60 AS watched_seconds")
    return spark.range(VIDEOS).selectExpr(*columns).repartition(PIECES, "video_id")


def uuid_of(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def viewers(spark: SparkSession, first: int, last: int) -> DataFrame:
    """Rows of one video and day: viewers by number, both ends included."""
    rows = [
        {"video_id": "-a", "event_day": date(2026, 11, 20), "viewer": uuid_of(number).hex, "is_known": True}
        for number in range(first, last + 1)
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows))


def events(spark: SparkSession, rng: random.Random, count: int) -> DataFrame:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    rows = [
        {
            "video_id": rng.choice(["-a", "_b", "c"]),
            "event_day": start.date(),
            "happened_at": start + timedelta(minutes=30 * rng.randrange(48)),
            "country": "DE",
            "device_type": rng.choice(DEVICES),
            "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "verdict": rng.choice(["counted", "duplicate", "invalid_traffic"]),
            "reasons": [{"code": rng.choice(CODES), "detail": ""}],
            "billability": rng.choice(["billable", "own_view"]),
            "view_duration": rng.choice([0, 30, 86_400]),
        }
        for _ in range(count)
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows))


def test_every_row_is_stored_once_and_again_in_the_same_places(spark: SparkSession, url: str) -> None:
    rng, staging = random.Random(41), PostgresStaging(url)
    before, now = events(spark, rng, 40), events(spark, rng, 60)
    days, invalid = day_changes([(before, now)]), invalid_changes([(before, now)])
    whole = Changed(counts(spark), days, invalid, viewer_changes([(viewers(spark, 3, 5), viewers(spark, 1, 3))]))
    first = stage(whole, staging=staging, run_id="run-1")
    again = stage(whole, staging=staging, run_id="run-1")
    assert again == first, "a task that is tried again doubles nothing"
    expected_invalid: Counter[tuple[str, str]] = Counter()
    became: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for sign, frame in ((1, now), (-1, before)):
        for row in frame.where("verdict = 'invalid_traffic'").collect():
            key = (row.video_id, str(CLASS_OF_CODE[row.reasons[0].code]))
            expected_invalid[key] += sign
            if sign > 0:
                became[key].add(row.event_id)
    stored = rows_of(
        url, "SELECT video_id, invalid_class, events_change, sample_event_ids FROM staging.invalid_changes"
    )
    changes = {key: count for key, count in expected_invalid.items() if count}
    assert {(video_id, name): count for video_id, name, count, _ in stored} == changes
    assert {(video_id, name): ids for video_id, name, _, ids in stored} == {
        key: sorted(became[key])[:3] for key in changes
    }
    assert first == StagedCounts(VIDEOS, 3, len(changes), 1)
    assert rows_of(url, "SELECT video_id, event_day::text, viewers_change, came, went FROM staging.viewer_changes") == [
        ("-a", "2026-11-20", 0, f"{{{uuid_of(1)},{uuid_of(2)}}}", f"{{{uuid_of(4)},{uuid_of(5)}}}")
    ]
    found = rows_of(
        url, "SELECT video_id, views, billable_views, watched_seconds FROM staging.video_counts WHERE run_id = 'run-1'"
    )
    assert sorted(found) == sorted((f"v{n}", n + 2, n, n * 60) for n in range(VIDEOS))
    assert len(rows_of(url, "SELECT DISTINCT piece FROM staging.video_counts")) == PIECES
    expected: Counter[str] = Counter()
    watched: Counter[str] = Counter()
    for sign, rows in ((1, now), (-1, before)):
        for row in rows.where("verdict = 'counted'").collect():
            expected[row.video_id] += sign
            watched[row.video_id] += sign * row.view_duration
    columns = "video_id, views_change, cell_views, seconds_change, cell_seconds, quarters, devices"
    changed = rows_of(url, f"SELECT {columns} FROM staging.video_day_changes")
    assert {video_id: views for video_id, views, *_ in changed} == dict(expected)
    assert {video_id: seconds for video_id, _, _, seconds, *_ in changed} == dict(watched)
    for _, views, cells, seconds, cell_seconds, quarters, devices in changed:
        assert (sum(cells), sum(cell_seconds)) == (views, seconds)
        assert {each % 2 for each in quarters} == {0}, "views begin on half hours"
        assert set(devices) <= set(DEVICES)


def test_a_postgres_that_is_away_is_named_and_its_password_appears_nowhere(spark: SparkSession) -> None:
    away = PostgresStaging(f"postgresql://viewledger:{SECRET}@127.0.0.1:9/viewledger")
    whole = Changed(counts(spark), counts(spark), counts(spark), counts(spark))
    with pytest.raises(UnavailableError, match="PostgreSQL does not answer") as caught:
        translated(stage)(whole, staging=away, run_id="run-2")
    assert caught.value.part == Part.POSTGRES
    assert SECRET not in str(caught.value)
    java = Path(f"/proc/{spark.sparkContext._gateway.proc.pid}")  # type: ignore[union-attr]
    log = (java / "fd" / "2").read_text()
    assert "PostgreSQL does not answer" in log, "the tasks' errors are in Spark's log"
    assert SECRET not in log
    assert SECRET not in (java / "cmdline").read_text()
