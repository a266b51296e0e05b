"""Many versions on a small archive, with and without maintenance: does what they leave behind level off?

    python -m bench.bench_maintain [--versions 1000] [--maintain-every 200]

Starts PostgreSQL of its own; one table lies in a folder, with real Spark and Iceberg. Each version adds a few rows on a
branch, gets a tag and is published with its counts, as a batch run does it, without the judging. The versions are half
a day apart and end today, so the first of 1,000 are older than the 400 days for which the last one of each day is kept.
Every maintenance compacts the table, too.
"""

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
from pyspark.sql import SparkSession

from batch_layer.lake.aggregates import BY_VIDEO, COMPLETION
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.lake.tables import VIEWS_BY_VIDEO
from batch_layer.maintaining.compact import CompactionPorts
from batch_layer.maintaining.compaction import CompactionLimits
from batch_layer.maintaining.erase import ErasurePorts
from batch_layer.maintaining.iceberg_compaction import IcebergCompaction
from batch_layer.maintaining.iceberg_erasure import IcebergErasure
from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep
from batch_layer.maintaining.maintain import MaintenancePorts, maintain_once
from batch_layer.maintaining.postgres_expiry import PostgresExpiry
from batch_layer.maintaining.prometheus_maintenance_metrics import PrometheusMaintenanceMetrics
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.versions.day_changes import CellChange, DayChange
from batch_layer.versions.ports import RunEntry, StagedCounts, VideoCount
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.declared.pipeline import COMPACTION_FILES, COMPACTION_GIB
from jobs.settings.state_home import state_home
from tests.batch_fakes import Found, FoundInChange

APART, RETENTION = timedelta(hours=12), timedelta(days=400)
VIDEOS = [f"video-{number:05d}" for number in range(200)]
CHANGED, BRANCH = 20, "run_bench"
COUNTS = """
SELECT (SELECT count(*) FROM published.video_counts), (SELECT count(*) FROM published.video_day_changes),
       (SELECT count(*) FROM published.versions) - (SELECT count(*) FROM published.expired_versions),
       pg_total_relation_size('published.versions')"""


def main() -> None:
    """Print what there is after each step, before and after its maintenance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=1_000)
    parser.add_argument("--maintain-every", type=int, default=200)
    arguments = parser.parse_args()
    if arguments.versions < 2 or arguments.maintain_every < 1:
        parser.error("--versions must be at least 2, and --maintain-every at least 1")
    with (
        temporary_folder() as folder,
        LocalStack.start(folder / "stack", servers=("postgres",)) as stack,
        closing(Archive(folder, stack.environment["VIEWLEDGER_POSTGRES_URL"])) as archive,
    ):
        print(
            f"{'':>28}{'seconds':>9}{'kept':>7}{'counts':>9}{'changes':>9}{'snapshots':>11}{'files now':>11}"
            f"{'files':>8}{'MiB':>8}{'metadata KiB':>14}"
        )
        first_at = datetime.now(UTC) - arguments.versions * APART
        for number in range(1, arguments.versions + 1):
            archive.publish(first_at + number * APART)
            if number % arguments.maintain_every == 0 or number == arguments.versions:
                archive.show(f"{number} versions")
                started = time.monotonic()
                archive.maintain()
                archive.show("after maintenance", time.monotonic() - started)


class Archive:
    """One table, its versions, and everything that grows with them."""

    def __init__(self, folder: Path, url: str) -> None:
        self._url = url
        self._random = random.Random(1)
        self._spark: SparkSession = open_session(
            SparkSettings(
                state_home() / "jars" / "spark",
                folder_catalog(str(folder / "warehouse")),
                is_short=True,
                log=folder / "spark.log",
            )
        )
        self._tables, self._warehouse = IcebergTables(self._spark), folder / "warehouse"
        self._tables.create_missing()
        self._tables.open_branch("first", {})
        self._snapshots = self._tables.heads("first")
        self._tables.move_main(self._snapshots)
        self._tables.drop_branch("first")
        self._store, self._staging = PostgresVersionStore(url), PostgresStaging(url)
        self._expiry, self._reconciliations = PostgresExpiry(url), PostgresReconciliations(url)
        self._now = datetime.now(UTC)

    def publish(self, published_at: datetime) -> None:
        """Publish one version: rows on a branch, a tag, the counts, the pointer, `main`."""
        current, self._now = self._store.current(), published_at
        number = current.version + 1 if current else 1
        self._snapshots = dict(current.snapshots) if current else self._snapshots
        chosen = self._random.sample(VIDEOS, CHANGED)
        columns = "video_id string, " + ", ".join(f"{name} bigint" for name in BY_VIDEO.measures)
        counts = (number, number, 60 * number, *[0] * len(COMPLETION))
        rows = self._spark.createDataFrame([(each, *counts) for each in chosen], columns)
        table, base = f"ledger.views.{VIEWS_BY_VIDEO}", self._snapshots[VIEWS_BY_VIDEO]
        self._spark.sql(f"ALTER TABLE {table} CREATE OR REPLACE BRANCH {BRANCH} AS OF VERSION {base}")
        changes = self._tables
        changes.append(VIEWS_BY_VIDEO, BRANCH, rows)
        self._snapshots = {**self._snapshots, VIEWS_BY_VIDEO: changes.head(VIEWS_BY_VIDEO, BRANCH)}
        changes.tag(f"v{number}", {VIEWS_BY_VIDEO: self._snapshots[VIEWS_BY_VIDEO]})
        self._record(number, published_at, chosen)
        changes.move_main(self._snapshots)
        self._spark.sql(f"ALTER TABLE {table} DROP BRANCH {BRANCH}")

    def _record(self, number: int, published_at: datetime, chosen: Sequence[str]) -> None:
        version = PublishedVersion(
            version=number,
            run_id=f"run-{number}",
            offsets=OffsetVector("video-views", (number,) * 12),
            watermarks=(published_at,) * 12,
            snapshots=self._snapshots,
            row_counts=dict.fromkeys(self._snapshots, number),
            content_hashes=dict.fromkeys(self._snapshots, "0" * 32),
            day_rules={},
            published_at=published_at,
        )
        self._store.begin(RunEntry(version.run_id, "incremental", "running", None, published_at, None))
        counts = [VideoCount(each, number, number, 60 * number) for each in chosen]
        days = [
            DayChange(each, "2026-01-01", 1, 1, 60, [CellChange(number % 96, "DE", "tv", 1, 1, 60)]) for each in chosen
        ]
        staged = StagedCounts(
            self._staging.store_counts(version.run_id, 0, counts), self._staging.store_days(version.run_id, 0, days)
        )
        self._store.publish(version, staged, {}, {})

    def maintain(self) -> None:
        """Do a maintenance that removes at once what expires."""
        upkeep = IcebergUpkeep(self._spark)
        reconcile = ReconcilePorts(
            versions=self._store,
            reconciliations=self._reconciliations,
            archive=Found(),
            comparison=Found(),
            changes=FoundInChange(),
            ledger=Found(),
            progress=lambda stage, text: None,
        )
        maintain_once(
            MaintenancePorts(
                versions=self._store,
                expiry=self._expiry,
                tables=upkeep,
                compaction=CompactionPorts(
                    IcebergCompaction(self._spark),
                    reconcile,
                    CompactionLimits(COMPACTION_FILES.read({}), COMPACTION_GIB.read({}) << 30),
                    lambda: self._now,
                ),
                erasure=ErasurePorts(
                    tables=IcebergErasure(self._spark),
                    upkeep=upkeep,
                    needs=self._expiry,
                    reconcile=reconcile,
                    progress=lambda stage, text: None,
                    clock=lambda: self._now,
                    grace=timedelta(0),
                    retention=RETENTION,
                    allowed_lateness=timedelta(hours=48),
                ),
                metrics=PrometheusMaintenanceMetrics(self._warehouse.parent / "maintenance.prom", RETENTION),
                progress=lambda stage, text: None,
                clock=lambda: datetime.now(UTC),
                grace=timedelta(0),
            )
        )

    def show(self, what: str, seconds: float = 0) -> None:
        """Print one line."""
        with closing(psycopg2.connect(self._url)) as connection, connection.cursor() as cursor:
            cursor.execute(COUNTS)
            ((counts, changes, kept, _),) = cursor.fetchall()
        files = [path for path in self._warehouse.rglob("*") if path.is_file()]
        metadata = sum(path.stat().st_size for path in files if path.parent.name == "metadata")
        snapshots = IcebergUpkeep(self._spark).snapshot_counts()[VIEWS_BY_VIDEO]
        (now,) = IcebergCompaction(self._spark).files({**self._snapshots, **self._current_snapshots})
        size = sum(path.stat().st_size for path in files)
        print(
            f"{what:>28}{seconds:>9.1f}{kept:>7,}{counts:>9,}{changes:>9,}{snapshots:>11,}"
            f"{now.data_file_count + now.delete_file_count:>11,}{len(files):>8,}{size / 2**20:>8.1f}"
            f"{metadata // 1024:>14,}",
            flush=True,
        )

    @property
    def _current_snapshots(self) -> Mapping[str, int]:
        current = self._store.current()
        return current.snapshots if current else {}

    def close(self) -> None:
        """Stop Spark and disconnect."""
        self._store.close()
        self._expiry.close()
        self._reconciliations.close()
        self._spark.stop()


if __name__ == "__main__":
    main()
