"""What a run changed agrees with its record, whatever is altered in it is named, and no history is read for that."""

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pyspark.sql import SparkSession

from batch_layer.lake.tables import (
    EVENTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TALLY,
    VIEWS_BY_VIDEO,
    VIEWS_BY_VIDEO_DAY,
)
from batch_layer.reconciling.reconcile import reconcile_after_run
from batch_layer.reconciling.reconciliation import Reconciliation, VersionChange
from batch_layer.reconciling.spark_change_comparison import SparkChangeComparison
from batch_layer.run.run import run_once
from batch_layer.versions.day_changes import DayChange, InvalidChange
from batch_layer.versions.ports import VideoCount
from ingestion.contract.counting import LATE_AFTER
from tests.laws.test_reconcile_laws import PARTITIONS, History
from tests.random_logs import START, anything, grow, no_gate, worlds
from tests.spark_fixtures import TOPIC, MemoryRun, MemoryServed, MemoryVersions

Result = TypeVar("Result")
REJECTED = """INSERT INTO {table}
    SELECT topic, partition, offset, appended_at, '', NULL, value FROM ledger.views.raw_events WHERE ONE"""


@pytest.fixture(scope="module")
def history(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    drop_tables(spark)
    yield History(spark, tmp_path_factory.mktemp("reports"))
    drop_tables(spark)


def drop_tables(spark: SparkSession) -> None:
    spark.catalog.clearCache()
    spark.sql("CREATE NAMESPACE IF NOT EXISTS ledger.views")
    for row in spark.sql("SHOW TABLES IN ledger.views").collect():
        spark.sql(f"DROP TABLE ledger.views.{row.tableName} PURGE")


def of_change(spark: SparkSession, versions: MemoryVersions, after: int) -> list[str]:
    """Return what is found in the versions after this one."""
    comparison = SparkChangeComparison(spark, versions, MemoryServed(spark, versions))
    change = VersionChange(versions.version(after), versions.published[-1])
    _, raw = comparison.raw_events(change)
    _, videos = comparison.videos(change)
    return raw + comparison.events(change) + videos


def test_what_honest_runs_changed_agrees_with_its_record(
    spark: SparkSession, empty_tables: None, tmp_path: Path
) -> None:
    seed = 0
    run, rng = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate), random.Random(seed)
    among = worlds(rng, 8, [anything])
    for count in (40, 1, 150, 30):
        grow(run, rng, among, count)
        late = [message for message in run.log.all() if is_late(message.value, message.appended_at)]
        if late:
            chosen = rng.choice(late)
            run.decisions.places.add((chosen.partition, chosen.offset))
        run_once(run.ports(), TOPIC)
        last = len(run.versions.published)
        for after in {0, last // 2, last - 1}:
            assert of_change(spark, run.versions, after) == [], f"seed {seed}, versions after {after}"


def is_late(value: bytes, appended_at: datetime) -> bool:
    try:
        return datetime.fromisoformat(json.loads(value)["timestamp"]) < appended_at - LATE_AFTER
    except (ValueError, KeyError, TypeError):
        return False


@pytest.mark.parametrize(
    ("table", "statement", "sentence"),
    [
        (RAW_EVENTS, "DELETE FROM {table} WHERE ONE", "file /"),
        (RAW_EVENTS, "INSERT INTO {table} SELECT * FROM {table} WHERE ONE", "file /"),
        (RAW_EVENTS, "UPDATE {table} SET value = X'00' WHERE ONE", "file /"),
        (EVENTS, "DELETE FROM {table} WHERE ONE", ": raw_events has "),
        (EVENTS, "INSERT INTO {table} SELECT * FROM {table} WHERE ONE", ": raw_events has "),
        (REJECTED_EVENTS, REJECTED, ": rejected events has "),
        (
            TALLY,
            "UPDATE {table} SET event_count = event_count + 1 WHERE partition = 2",
            "partition 2: tally has ",
        ),
        (VIEWS_BY_VIDEO_DAY, "UPDATE {table} SET views = views + 1 WHERE video_id = '-a'", "video -a on 2026-11-"),
        (VIEWS_BY_VIDEO_DAY, "DELETE FROM {table} WHERE video_id = '_b'", "video _b on 2026-11-"),
        (VIEWS_BY_VIDEO, "UPDATE {table} SET billable_views = 0 WHERE video_id = 'c'", ", views_by_video has "),
        (VIEWS_BY_VIDEO, "UPDATE {table} SET watched_seconds = 1 WHERE video_id = 'c'", ", views_by_video has "),
        (VIEWS_BY_VIDEO, "DELETE FROM {table} WHERE video_id = '-a'", ", views_by_video has 0 views"),
    ],
)
def test_a_table_altered_since_the_run_is_named(history: History, table: str, statement: str, sentence: str) -> None:
    first, newest = history.run.versions.published[0].offsets.ends, history.version.offsets.ends
    partition = next(index for index, end in enumerate(newest) if end > first[index])
    one = f"partition = {partition} AND offset = {first[partition]}"
    versions = history.changed(table, statement.replace("ONE", one))
    differences = of_change(history.spark, versions, 1)
    assert differences
    assert any(sentence in each for each in differences), differences


def test_a_served_count_altered_since_the_run_is_named(history: History) -> None:
    versions = history.copy()
    versions.counts.append((2, VideoCount("-a", 1, 1, 60)))
    (difference,) = of_change(history.spark, versions, 1)
    assert difference.startswith("video -a: views_by_video has ")
    assert difference.endswith("PostgreSQL has 1 views (1 billable, 60 seconds watched)")


def test_a_served_count_that_was_not_written_is_named(history: History) -> None:
    versions = history.copy()
    versions.counts = [each for each in versions.counts if each[0] != 2 or each[1].video_id != "c"]
    (difference,) = of_change(history.spark, versions, 1)
    assert difference.startswith("video c: views_by_video has ")
    assert difference.endswith("PostgreSQL has 0 views (0 billable, 0 seconds watched)")


@pytest.mark.parametrize("day", ["2026-11-19", "2026-10-01"])
def test_a_change_by_day_that_no_run_made_is_named(history: History, day: str) -> None:
    versions = history.copy()
    versions.days.append((2, DayChange("-a", day, 1, 0, 0, [])))
    (difference,) = of_change(history.spark, versions, 1)
    assert difference.startswith(f"video -a on {day}: views_by_video_day has ")


def test_seconds_that_nobody_watched_are_named(history: History) -> None:
    versions = history.copy()
    versions.days.append((2, DayChange("-a", "2026-11-19", 0, 0, 7, [])))
    (difference,) = of_change(history.spark, versions, 1)
    assert difference.startswith("video -a on 2026-11-19: views_by_video_day has ")


@pytest.mark.parametrize("day", ["2026-11-19", "2026-10-01"])
def test_a_part_of_a_video_that_no_viewer_reached_is_named(history: History, day: str) -> None:
    versions = history.copy()
    versions.days.append((2, DayChange("-a", day, 0, 0, 0, [], reached_75=1)))
    (difference,) = of_change(history.spark, versions, 1)
    assert difference.startswith(f"completion of video -a on {day}: views_by_video_day has ")


@pytest.mark.parametrize("day", ["2026-11-19", "2026-10-01"])
def test_invalid_traffic_that_no_run_found_is_named(history: History, day: str) -> None:
    versions = history.copy()
    versions.invalid.append((2, InvalidChange("-a", day, "robot", 7, [])))
    (difference,) = of_change(history.spark, versions, 1)
    assert difference.startswith(f"invalid traffic of {day}, class robot: tally has 0 events, PostgreSQL has 7")


def test_what_older_versions_hold_is_left_to_the_comparison_of_everything(history: History) -> None:
    first = history.run.versions.published[0].offsets.ends
    partition = next(index for index, end in enumerate(first) if end)
    versions = history.changed(EVENTS, f"DELETE FROM {{table}} WHERE partition = {partition} AND offset = 0")
    assert of_change(history.spark, versions, 1) == []
    assert history.differences(versions=versions) != ()


@dataclass(frozen=True)
class ReadByTasks:
    """What Spark's tasks have read from files."""

    row_count: int
    byte_count: int


def stages_of(spark: SparkSession) -> list[Any]:
    context: Any = spark.sparkContext
    scala = context._jsc.sc()
    scala.listenerBus().waitUntilEmpty()
    no_quantiles = context._gateway.new_array(context._jvm.double, 0)
    found = scala.statusStore().stageList(None, False, False, no_quantiles, None)
    return [found.apply(index) for index in range(found.size())]


def read_by(spark: SparkSession, work: Callable[[], Result]) -> tuple[ReadByTasks, Result]:
    """Return what Spark read while it did this work."""
    last = max(each.stageId() for each in stages_of(spark))
    result = work()
    stages = [each for each in stages_of(spark) if each.stageId() > last]
    assert len({each.stageId() for each in stages}) == max(each.stageId() for each in stages) - last, "all are known"
    return ReadByTasks(sum(each.inputRecords() for each in stages), sum(each.inputBytes() for each in stages)), result


def event(rng: random.Random, day: date) -> bytes:
    hour, minute = rng.randrange(24), rng.randrange(60)
    fields = {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "video_id": f"v{rng.randrange(20)}",
        "user_id": f"viewer {rng.random()}",
        "session_id": "s",
        "timestamp": f"{day}T{hour:02}:{minute:02}:00+00:00",
        "view_duration": 60,
        "revenue_eligible": True,
    }
    return json.dumps(fields).encode()


def publish_days(run: MemoryRun, rng: random.Random, *days: int) -> None:
    """Publish a version with 60 events of each of these days, received on the following day."""
    for number in days:
        day = START + timedelta(days=number)
        for partition in range(PARTITIONS):
            for _ in range(20):
                run.log.append(partition, day.replace(hour=0) + timedelta(days=1, hours=1), event(rng, day.date()))
    run_once(run.ports(), TOPIC)


def read_after_one_more_day(spark: SparkSession, folder: Path, former_days: int) -> tuple[ReadByTasks, Reconciliation]:
    """Return what is read to reconcile one more day, and what was found."""
    drop_tables(spark)
    run = MemoryRun.with_partitions(spark, PARTITIONS, folder, no_gate)
    publish_days(run, random.Random(7), *range(former_days))
    # days apart, so that no event of the former days is its neighbour
    publish_days(run, random.Random(8), 20)
    run.versions.found = [("run", Reconciliation(1, None, ()))]
    ports = run.ports().reconcile
    changes = SparkChangeComparison(spark, run.versions, MemoryServed(spark, run.versions))
    read, found = read_by(spark, lambda: reconcile_after_run(replace(ports, changes=changes)))
    assert found is not None
    return read, found


def test_the_comparison_after_a_run_reads_no_more_after_a_longer_history(
    spark: SparkSession, empty_tables: None, tmp_path: Path
) -> None:
    short, found = read_after_one_more_day(spark, tmp_path, 1)
    long, found_later = read_after_one_more_day(spark, tmp_path, 6)
    assert found.differences == found_later.differences == ()
    assert found.compared == found_later.compared == {"raw_events": 60, "videos": found.compared["videos"]}
    assert short.row_count > 180, "raw, judged and counted rows were read"
    assert long.row_count <= short.row_count * 1.1, (short, long)
    assert long.byte_count <= short.byte_count * 1.5, (short, long)
