"""What maintenance does to tables of real Spark and Iceberg: a version that is kept stays as it was published."""

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pyspark.sql import SparkSession

from batch_layer.errors import GateFailedError
from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Subject
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_content_hash import contents
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, REJECTED_EVENTS, TABLES, TRAFFIC_OUTCOMES, VIDEO_FACTS, VIEWERS
from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep
from batch_layer.run.run import run_once
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion
from tests.random_logs import PARTITIONS, grow, plain_world
from tests.spark_fixtures import TOPIC, MemoryRun

pytestmark = pytest.mark.usefixtures("empty_tables")
DAYS = timedelta(days=1)
KEPT = [name for name in TABLES if name != VIEWERS]


def now() -> datetime:
    return datetime.now(UTC)


def passing(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    return GateReport((), 0, folder)


def refusing(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    return GateReport(("no",), 1, folder)


def published(run: MemoryRun, rng: random.Random, count: int) -> list[PublishedVersion]:
    among = [plain_world(rng, 40)]
    for _ in range(count):
        grow(run, rng, among, 12)
        run_once(run.ports(), TOPIC)
    return run.versions.published


def is_as_published(spark: SparkSession, version: PublishedVersion) -> bool:
    """Compare every table that versions keep; no version keeps personal columns."""
    tables = IcebergTables(spark)
    found = contents({name: tables.at(name, version.snapshots[name]) for name in KEPT})
    return all(
        (content.row_count, content.text) == (version.row_counts[str(name)], version.content_hashes[str(name)])
        for (name, _), content in found.items()
    )


def files_of(spark: SparkSession, name: str) -> list[Path]:
    folder = Path(urlsplit(IcebergTables(spark).folder(name)).path).parent
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def test_kept_versions_are_as_published_and_what_only_expired_ones_named_is_gone(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, passing)
    versions = published(run, random.Random(1), 4)
    run.warehouse._gate = refusing
    grow(run, random.Random(2), [plain_world(random.Random(3), 1)], 5)
    with pytest.raises(GateFailedError):
        run_once(run.ports(), TOPIC)
    refused = next(run_id for run_id in run.versions.runs_in("gate_failed"))
    upkeep, before = IcebergUpkeep(spark), len(files_of(spark, EVENTS))
    snapshots_before = upkeep.snapshot_counts()
    assert upkeep.repair(versions[-1], [refused]) == []
    assert upkeep.drop_tags([1, 3], 0) == 2 * len(KEPT)
    assert upkeep.drop_tags([1, 3], 0) == 0
    assert upkeep.expire_snapshots(now() - DAYS) == 0, "the age floor keeps everything that is young"
    assert upkeep.expire_snapshots(now()) > 0
    assert [is_as_published(spark, each) for each in (versions[1], versions[3])] == [True, True]
    with pytest.raises(Exception, match="Cannot find"):
        is_as_published(spark, versions[0])
    assert len(files_of(spark, EVENTS)) < before
    # no catalogue was imported, no rules of the day judged, and no event rejected
    changed = [name for name in TABLES if name not in (VIDEO_FACTS, TRAFFIC_OUTCOMES, REJECTED_EVENTS)]
    assert all(upkeep.snapshot_counts()[name] < snapshots_before[name] for name in changed)
    assert IcebergTables(spark).on_branch(RAW_EVENTS, branch_of(refused)).count() > versions[-1].row_counts[RAW_EVENTS]
    run.warehouse._gate = passing
    run_once(run.ports(), TOPIC)
    newest = run.versions.current()
    assert newest is not None
    assert newest.version == 5
    assert is_as_published(spark, newest)


def test_a_file_without_a_snapshot_goes_when_it_is_old_and_one_that_a_branch_names_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, passing)
    (version,) = published(run, random.Random(3), 1)
    old, young = (files_of(spark, EVENTS)[0].parent / name for name in ("old.parquet", "young.parquet"))
    grow(run, random.Random(4), [plain_world(random.Random(3), 1)], 5)
    end = OffsetVector(TOPIC, run.log.highwaters())
    with run.warehouse.open_branch("half-written", version) as branch:
        run.warehouse.archive(branch, version.offsets, end)
    for path in (old, young):
        path.write_bytes(b"killed before its commit")
    a_week_ago = (now() - 7 * DAYS).timestamp()
    for path in [old, *files_of(spark, RAW_EVENTS)]:
        os.utime(path, (a_week_ago, a_week_ago))
    upkeep = IcebergUpkeep(spark)
    assert upkeep.remove_orphans(now() - 3 * DAYS) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert (
        IcebergTables(spark).on_branch(RAW_EVENTS, branch_of("half-written")).count() > version.row_counts[RAW_EVENTS]
    )
    assert is_as_published(spark, version)


def test_metadata_levels_off_over_many_versions(spark: SparkSession, tmp_path: Path) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, passing)
    versions, upkeep = published(run, random.Random(5), 1), IcebergUpkeep(spark)
    tables = IcebergTables(spark)
    for number in range(2, 40):
        tables.tag(f"v{number}", {EVENTS: versions[0].snapshots[EVENTS]})
        upkeep.repair(versions[0], [])
        upkeep.drop_tags([number], 0)
    metadata = [path for path in files_of(spark, EVENTS) if path.name.endswith(".metadata.json")]
    assert len(metadata) <= 22
