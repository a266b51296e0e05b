"""Wire a comparison of the whole flow: the tables by Spark, the record and the ledger in PostgreSQL."""

from contextlib import suppress
from typing import TYPE_CHECKING

from batch_layer.reconciling.ports import ReconciliationStore
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.reconciling.reconciliation import Days
from batch_layer.stages import Progress
from batch_layer.versions.ports import VersionStore
from billing.books.postgres_billed_views import PostgresBilledViews
from billing.books.postgres_books import PostgresBooks
from billing.postgres_session import connector
from ingestion.contract.settled import BilledVideo
from ingestion.contract.unavailable import UnavailableError
from jobs.telemetry.figures_file import record_reconciled
from jobs.wiring.batch_settings import BatchSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def reconcile_ports(
    spark: "SparkSession",
    versions: VersionStore,
    reconciliations: ReconciliationStore,
    *,
    postgres_url: str,
    progress: Progress,
) -> ReconcilePorts:
    """Return the ports on a running Spark."""
    # imported here: pyspark takes a second, which a refusal need not wait for
    from batch_layer.reconciling.spark_archive_check import SparkArchiveCheck
    from batch_layer.reconciling.spark_change_comparison import SparkChangeComparison
    from batch_layer.reconciling.spark_comparison import SparkComparison
    from batch_layer.reconciling.spark_served import SparkServedCounts

    served = SparkServedCounts(spark, postgres_url)
    return ReconcilePorts(
        versions=versions,
        reconciliations=reconciliations,
        archive=SparkArchiveCheck(spark, reconciliations),
        comparison=SparkComparison(spark, reconciliations, served),
        changes=SparkChangeComparison(spark, reconciliations, served),
        ledger=_Billed(postgres_url),
        progress=progress,
    )


def note_reconciled(chosen: BatchSettings, reconciliations: ReconciliationStore) -> None:
    """Record for monitoring how many differences are open and how many versions wait; unknown without PostgreSQL."""
    with suppress(UnavailableError):
        record_reconciled(
            chosen.state,
            differences=sum(len(each.differences) for each in reconciliations.open_differences()),
            unreconciled_versions=len(reconciliations.unreconciled_versions()),
        )


class _Billed:
    """The ledger's views as the batch layer's port."""

    def __init__(self, postgres_url: str) -> None:
        connect = connector(postgres_url)
        self._views, self._books = PostgresBilledViews(connect), PostgresBooks(connect)

    def billed(self, days: Days | None) -> list[BilledVideo]:
        """See the port `BilledViews`."""
        return self._views.billed(days)

    def paid_twice(self) -> list[str]:
        """See the port `BilledViews`."""
        return self._books.beyond_whole()
