"""What a compaction does to tables of real Spark and Iceberg: few files, the same rows, and every version as it was."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import DifferenceError
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_content_hash import contents
from batch_layer.lake.spark_kept import kept
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, TABLES, VIEWERS, VIEWS_BY_VIDEO
from batch_layer.maintaining.compact import CompactionPorts, CompactionResult, compact
from batch_layer.maintaining.compaction import CompactionLimits, PartFiles, by_table
from batch_layer.maintaining.iceberg_compaction import IcebergCompaction
from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep
from batch_layer.reconciling.reconcile import known_differences
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.stages import Stages
from batch_layer.versions.ports import RunEntry
from ingestion.contract.version import PublishedVersion
from tests.laws.test_maintenance_laws import files_of, is_as_published, passing, published
from tests.random_logs import PARTITIONS, grow, plain_world
from tests.spark_fixtures import TOPIC, MemoryRun

pytestmark = pytest.mark.usefixtures("empty_tables")
ALL = CompactionLimits(debt_max=1, byte_count_max=1 << 40)


class Compacting:
    """Small runs, and compactions of what they left."""

    def __init__(self, spark: SparkSession, reports: Path) -> None:
        self.spark = spark
        self.run = MemoryRun.with_partitions(spark, PARTITIONS, reports, passing)
        self.tables: IcebergCompaction = IcebergCompaction(spark)

    def compact(self, limits: CompactionLimits = ALL) -> CompactionResult:
        run_id = f"compaction-{len(self.run.versions.journal)}"
        clock = datetime.now(UTC)
        self.run.versions.begin(RunEntry(run_id, "maintenance", "running", None, clock, None))
        ports = CompactionPorts(self.tables, self.run.ports().reconcile, limits, lambda: clock)
        return compact(ports, Stages(self.run.progress), run_id, base=self.run.current, detail={})

    def archive_differences(self) -> tuple[str, ...]:
        ports = self.run.ports().reconcile
        return known_differences(ports.reconciliations, ports.archive, self.run.current, keep=False)


@pytest.fixture
def compacting(spark: SparkSession, tmp_path: Path) -> Compacting:
    return Compacting(spark, tmp_path)


def counts(result: CompactionResult) -> Mapping[str, tuple[int, int]]:
    return {name: (each.data_file_count, each.delete_file_count) for name, each in by_table(result.after, ALL).items()}


@pytest.mark.parametrize("seed", range(2))
def test_every_version_shows_the_same_rows_and_what_comes_later_finds_them(compacting: Compacting, seed: int) -> None:
    rng, spark = random.Random(seed), compacting.spark
    versions = list(published(compacting.run, rng, 4))
    result = compacting.compact()
    before, after = by_table(result.before, ALL), by_table(result.after, ALL)
    assert before[VIEWS_BY_VIDEO].delete_file_count > 0, "rows were replaced, so that there are deletes to apply"
    assert {each.table for each in result.compacted} >= {RAW_EVENTS, EVENTS, VIEWERS, VIEWS_BY_VIDEO}
    assert sum(each.data_file_count for each in after.values()) < sum(each.data_file_count for each in before.values())
    compacted = {(each.table, each.day) for each in result.compacted}
    assert not any(each.delete_file_count for each in result.after if (each.table, each.day) in compacted)
    newest = compacting.run.current
    assert (newest.version, newest.offsets, newest.row_counts) == (5, versions[3].offsets, versions[3].row_counts)
    assert newest.content_hashes == versions[3].content_hashes
    assert [is_as_published(spark, each) for each in (*versions, newest)] == [True] * 5
    tables = IcebergTables(spark)
    viewers = contents({str(number): tables.at(VIEWERS, each.snapshots[VIEWERS]) for number, each in
                        enumerate((versions[3], newest))})  # fmt: skip
    assert len(set(viewers.values())) == 1
    assert {name: tables.main(name) for name in TABLES} == dict(newest.snapshots)
    assert compacting.archive_differences() == ()
    grow(compacting.run, rng, [plain_world(random.Random(seed), 40)], 12)
    assert run_once(compacting.run.ports(), TOPIC).version == 6
    rebuild_once(compacting.run.ports())
    assert compacting.archive_differences() == ()


def test_what_is_compacted_twice_is_as_before_and_replaced_files_leave_with_the_last_version_that_names_them(
    compacting: Compacting,
) -> None:
    versions = list(published(compacting.run, random.Random(4), 3))
    before = set(files_of(compacting.spark, RAW_EVENTS))
    first = compacting.compact()
    versions.append(compacting.run.current)
    again = compacting.compact(CompactionLimits(debt_max=-1, byte_count_max=1 << 40))
    assert len(again.compacted) >= len(first.compacted)
    assert [is_as_published(compacting.spark, each) for each in (*versions, compacting.run.current)] == [True] * 5
    assert compacting.archive_differences() == ()
    assert compacting.compact(CompactionLimits(debt_max=1_000, byte_count_max=1)).compacted == ()
    assert compacting.run.current.version == 5, "nothing is published when nothing is due"
    upkeep = IcebergUpkeep(compacting.spark)
    upkeep.drop_tags([each.version for each in versions], 0)
    assert upkeep.expire_snapshots(datetime.now(UTC)) > 0
    assert not {path for path in before if path.suffix == ".parquet"} & set(files_of(compacting.spark, RAW_EVENTS))
    assert is_as_published(compacting.spark, compacting.run.current)
    assert compacting.archive_differences() == ()


class LosesRows(IcebergCompaction):
    """Loses a row of a table while it compacts."""

    lost = EVENTS

    def rewrite(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> None:
        super().rewrite(run_id, base, parts)
        rows = kept(self._tables.on_branch(self.lost, branch_of(run_id))).rows
        self._tables.overwrite(self.lost, branch_of(run_id), rows.exceptAll(rows.limit(1)), F.lit(True))


def test_a_compaction_that_lost_a_row_or_of_a_changed_file_is_refused_and_changes_nothing(
    compacting: Compacting,
) -> None:
    versions = published(compacting.run, random.Random(7), 2)
    archived = [path for path in files_of(compacting.spark, RAW_EVENTS) if path.suffix == ".parquet"]
    tables = LosesRows(compacting.spark)
    compacting.tables = tables
    for tables.lost in (RAW_EVENTS, EVENTS, VIEWERS, VIEWS_BY_VIDEO):
        with pytest.raises(DifferenceError, match=f"{tables.lost} .*nothing was compacted"):
            compacting.compact()
    tables.lost = EVENTS
    raw_alone = [each for each in tables.files(versions[-1].snapshots) if each.table == RAW_EVENTS]
    tables.rewrite("raw-alone", versions[-1], raw_alone)
    differences = tables.compare("raw-alone", versions[-1], raw_alone).differences
    assert {each.partition(" of ")[0] for each in differences} == {EVENTS}
    assert "other files after other days were written again" in differences[0]
    assert compacting.run.current == versions[-1]
    assert {name: IcebergTables(compacting.spark).main(name) for name in TABLES} == dict(versions[-1].snapshots)
    assert compacting.archive_differences() == ()
    archived[0].write_bytes(archived[1].read_bytes())
    (archived[0].parent / f".{archived[0].name}.crc").unlink(missing_ok=True)
    compacting.tables = IcebergCompaction(compacting.spark)
    with pytest.raises(DifferenceError, match="nothing is compacted until"):
        compacting.compact()
    assert compacting.run.current == versions[-1]
