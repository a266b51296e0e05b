"""Wire the settled views of the current version for billing: the batch layer's reader behind billing's port."""

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from batch_layer.errors import BatchError
from batch_layer.judging.postgres_policies import traffic_policies
from batch_layer.lake.spark_settings import jdbc_catalog
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.reconciling.reconcile import known_differences, never_reconciled
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.ports import SettledViews
from ingestion.contract.periods import Period
from ingestion.contract.version import PublishedVersion
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import WAREHOUSE
from jobs.wiring.batch_errors import exit_code_of
from jobs.wiring.batch_settings import spark_settings
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.traffic_rules import allowed_numbers, key_of_allowed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from batch_layer.settled.iceberg_settled_events import IcebergSettledEvents
    from batch_layer.settled.spark_judged_views import SparkJudgedViews


@contextmanager
def open_settled_views(environ: Mapping[str, str]) -> Iterator[SettledViews]:
    """Yield the settled views of the version that the pointer names now, read at that version's snapshots.

    Reads VIEWLEDGER_POSTGRES_URL, VIEWLEDGER_HDFS_URL, VIEWLEDGER_WAREHOUSE and the settings of Spark.

    Raises:
        CommandError: no version is published yet.
        UnavailableError: a required server does not answer.
    """
    url = settings.PostgresConnection.from_environ(environ).url
    with version_session(environ) as (session, version):
        yield settled_views_in(session, version, url)


def settled_views_in(session: "SparkSession", version: PublishedVersion, postgres_url: str) -> SettledViews:
    """Return the settled views of a version, read in a session."""
    # imported here and below: Spark takes a second to load, which a refusal need not wait for
    from batch_layer.settled.iceberg_settled_views import IcebergSettledViews

    return IcebergSettledViews(session, version, lambda: _differences(session, version, postgres_url))


@contextmanager
def open_bundled(
    environ: Mapping[str, str], number: int, period: Period, *, with_traffic: bool
) -> Iterator[tuple["IcebergSettledEvents", "SparkJudgedViews | None"]]:
    """Yield the single events of a published version, and what the rules of traffic saw of a period if it is wanted.

    In other respects like `open_settled_views`.
    """
    with version_session(environ, number) as (session, version):
        from batch_layer.judging.spark_catalogue import SparkCatalogueFacts
        from batch_layer.settled.iceberg_settled_events import events_at_snapshots
        from batch_layer.settled.spark_judged_views import SparkJudgedViews

        url = settings.PostgresConnection.from_environ(environ).url
        traffic = None
        if with_traffic:
            policies = traffic_policies(url)
            allowed = allowed_numbers(policies, key_of_allowed(environ, session, policies))
            catalogue, key = SparkCatalogueFacts(session, url), secrets.token_bytes(32)
            traffic = SparkJudgedViews(session, version, catalogue, period, key, allowed)
        yield events_at_snapshots(session, version), traffic


@contextmanager
def version_session(
    environ: Mapping[str, str], number: int | None = None
) -> Iterator[tuple["SparkSession", PublishedVersion]]:
    """Yield a session of Spark on the tables, and a published version by its number: by default the current one."""
    postgres_url = settings.PostgresConnection.from_environ(environ).url
    hdfs_url = settings.HdfsConnection.from_environ(environ).url.rstrip("/")
    warehouse = WAREHOUSE.read_if_set(environ) or f"{hdfs_url}/warehouse"
    spark = spark_settings(environ, jdbc_catalog(postgres_url, warehouse))
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # its chatter says no more than our one sentence
    try:
        version = _published(postgres_url, number)
        check_hdfs(hdfs_url)
        from batch_layer.lake.spark_session import open_session

        session = open_session(spark, "viewledger billing")
        try:
            yield session, version
        finally:
            session.stop()
    except BatchError as error:
        raise CommandError(str(error), exit_code_of(error)) from error


def _differences(session: "SparkSession", version: PublishedVersion, postgres_url: str) -> tuple[str, ...]:
    from batch_layer.reconciling.spark_archive_check import SparkArchiveCheck

    with closing(PostgresReconciliations(postgres_url)) as store:
        found = known_differences(store, SparkArchiveCheck(session, store), version, keep=False)
        return found or never_reconciled(store)


def _published(postgres_url: str, number: int | None) -> PublishedVersion:
    with closing(PostgresVersionStore(postgres_url)) as store:
        version = store.current() if number is None else store.version(number)
    if version is None and number is not None:
        raise CommandError(f"batch version {number} was never published", ExitCode.REFUSED)
    if version is None:
        raise CommandError("no batch version is published yet; run `./viewledger batch run` first", ExitCode.REFUSED)
    return version
