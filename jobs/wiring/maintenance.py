"""Wire maintenance: the record of versions and the batch tables behind its ports."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch_layer.errors import AtWorkError, BackupAtWorkError
from batch_layer.maintaining.compact import CompactionPorts
from batch_layer.maintaining.compaction import CompactionLimits
from batch_layer.maintaining.erase import ErasurePorts
from batch_layer.maintaining.maintain import MaintenancePorts
from batch_layer.maintaining.postgres_expiry import PostgresExpiry
from batch_layer.maintaining.prometheus_maintenance_metrics import PrometheusMaintenanceMetrics
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.unavailable import Part
from jobs.resilience.failpoints import Failpoints
from jobs.settings.declared.pipeline import COMPACTION_FILES, COMPACTION_GIB, EXPIRY_GRACE_HOURS, RETENTION_DAYS
from jobs.wiring.batch_settings import SHORT_RUN_EVENTS_MAX, BatchSettings
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.progress import progress_of
from jobs.wiring.reconcile_ports import reconcile_ports


@dataclass(frozen=True)
class MaintenanceSettings:
    """The settings of maintenance."""

    batch: BatchSettings
    grace: timedelta
    retention: timedelta
    compaction: CompactionLimits
    failpoints: Failpoints

    @property
    def metrics(self) -> Path:
        """Return the text file with the figures of the last maintenance."""
        return self.batch.state / "metrics" / "maintenance.prom"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "MaintenanceSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            batch=BatchSettings.from_environ(environ),
            grace=timedelta(hours=EXPIRY_GRACE_HOURS.read(environ)),
            retention=timedelta(days=RETENTION_DAYS.read(environ)),
            compaction=CompactionLimits(
                debt_max=COMPACTION_FILES.read(environ), byte_count_max=COMPACTION_GIB.read(environ) << 30
            ),
            failpoints=Failpoints("maintain", environ),
        )


report = progress_of("maintain")


@contextmanager
def open_maintenance(chosen: MaintenanceSettings) -> Iterator[MaintenancePorts]:
    """Connect to everything, cheapest first; refuse before Spark starts when a batch run is at work."""
    batch, points = chosen.batch, chosen.failpoints
    with (
        closing(PostgresVersionStore(batch.postgres_url)) as versions,
        closing(PostgresReconciliations(batch.postgres_url)) as reconciliations,
        closing(PostgresExpiry(batch.postgres_url)) as expiry,
    ):
        if not versions.lock():
            raise AtWorkError
        if not versions.lock_files():
            raise BackupAtWorkError
        check_hdfs(batch.hdfs_url)
        # imported here: pyspark takes a second, which a refusal need not wait for
        from batch_layer.lake.spark_session import open_session
        from batch_layer.maintaining.iceberg_compaction import IcebergCompaction
        from batch_layer.maintaining.iceberg_erasure import IcebergErasure
        from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep

        def clock() -> datetime:
            return datetime.now(UTC)

        current = versions.current()
        is_short = current is None or current.row_counts["raw_events"] < SHORT_RUN_EVENTS_MAX
        spark = open_session(replace(batch.spark, is_short=is_short), "viewledger maintain")
        try:
            url = batch.postgres_url
            upkeep = points.on(IcebergUpkeep(spark), Part.SPARK)
            reconcile = reconcile_ports(spark, versions, reconciliations, postgres_url=url, progress=report)
            yield MaintenancePorts(
                versions=versions,
                expiry=points.on(expiry, Part.POSTGRES),
                tables=upkeep,
                compaction=CompactionPorts(
                    tables=points.on(IcebergCompaction(spark), Part.SPARK),
                    reconcile=reconcile,
                    limits=chosen.compaction,
                    clock=clock,
                ),
                erasure=ErasurePorts(
                    tables=points.on(IcebergErasure(spark), Part.SPARK),
                    upkeep=upkeep,
                    needs=expiry,
                    reconcile=reconcile,
                    progress=report,
                    clock=clock,
                    grace=chosen.grace,
                    retention=chosen.retention,
                    allowed_lateness=batch.allowed_lateness,
                ),
                metrics=PrometheusMaintenanceMetrics(chosen.metrics, chosen.retention),
                progress=report,
                clock=clock,
                grace=chosen.grace,
            )
        finally:
            spark.stop()
