"""Wire the comparison of receipts with the current version."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from batch_layer.errors import EarlierLayoutError
from batch_layer.lake.tables import RAW_EVENTS
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.reconciling.reconcile import published
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.version import PublishedVersion
from jobs.wiring.batch_settings import BatchSettings
from jobs.wiring.hdfs_check import check_hdfs

if TYPE_CHECKING:
    from batch_layer.settled.spark_receipts import ReceiptLookup


@contextmanager
def open_receipt_lookup(chosen: BatchSettings) -> Iterator[tuple[PublishedVersion, "ReceiptLookup"]]:
    """Yield the current version and what looks events up in it; cheapest connection first.

    Raises:
        RefusedError: nothing is published, or the tables are those of an earlier release.
    """
    with closing(PostgresVersionStore(chosen.postgres_url)) as versions:
        version = published(versions)
    with closing(PostgresReconciliations(chosen.postgres_url)) as reconciliations:
        removed = reconciliations.removals_until(version.version).of(RAW_EVENTS)
    check_hdfs(chosen.hdfs_url)
    # imported here: pyspark takes a second, which a refusal need not wait for
    from batch_layer.lake.iceberg_tables import IcebergTables
    from batch_layer.lake.spark_session import open_session
    from batch_layer.settled.spark_receipts import ReceiptLookup

    spark = open_session(chosen.spark, "viewledger receipts")
    try:
        if not IcebergTables(spark).has_todays_layout(version.snapshots):
            raise EarlierLayoutError(version.version)
        yield version, ReceiptLookup(spark, version, removed)
    finally:
        spark.stop()
