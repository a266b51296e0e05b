"""`./viewledger reconcile`: prove that archive, batch tables, served counts and ledger agree."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from datetime import date

from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.reconciling.reconcile import ReconcilePorts, published, reconcile_once
from batch_layer.reconciling.reconciliation import Reconciliation
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.printable import counted
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes, refuse_differences
from jobs.wiring.batch_settings import SHORT_RUN_EVENTS_MAX, BatchSettings
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.progress import progress_of
from jobs.wiring.reconcile_ports import note_reconciled, reconcile_ports

SHOWN_MAX = 20


def run(*, day: date | None, repair: bool, as_json: bool) -> ExitCode:
    """Reconcile. Exit codes: 4 a server is away, 5 nothing is published, 6 a difference."""
    chosen = BatchSettings.from_environ(settings.environment("PIPELINE"))
    with errors_as_exit_codes(), _ports(chosen) as ports:
        result = reconcile_once(ports, day, repair=repair)
        note_reconciled(chosen, ports.reconciliations)
    if as_json:
        print(json.dumps(asdict(result) | {"is_equal": result.is_equal}, default=str))
    elif result.is_equal:
        print(equal_text(result))
    else:
        print("\n".join(_shown(result.differences)))
    refuse_differences(result.version, result.differences)
    return ExitCode.OK


def equal_text(result: Reconciliation) -> str:
    """Return what was compared and found equal, as one sentence."""
    scope = "" if result.days is None else f" of {', '.join(map(str, result.days))}"
    return (
        f"version {result.version}: {counted(result.compared['raw_events'], 'raw event')}{scope}, "
        f"{counted(result.compared['videos'], 'video')}, "
        f"{result.compared['billed_videos']:,} billed: archive = tables = served = ledger"
    )


def _shown(differences: Sequence[str]) -> list[str]:
    more = len(differences) - SHOWN_MAX
    return [*differences[:SHOWN_MAX], *([f"and {more:,} more"] if more > 0 else [])]


@contextmanager
def _ports(chosen: BatchSettings) -> Iterator[ReconcilePorts]:
    """Connect to everything, cheapest first, so that an unreachable server is found before Spark starts."""
    with ExitStack() as closed:
        versions = closed.enter_context(closing(PostgresVersionStore(chosen.postgres_url)))
        reconciliations = closed.enter_context(closing(PostgresReconciliations(chosen.postgres_url)))
        version = published(versions)
        check_hdfs(chosen.hdfs_url)
        # imported here: pyspark takes a second, which a refusal need not wait for
        from batch_layer.lake.spark_session import open_session

        is_short = version.row_counts["raw_events"] < SHORT_RUN_EVENTS_MAX
        spark = open_session(replace(chosen.spark, is_short=is_short), "viewledger reconcile")
        closed.callback(spark.stop)
        yield reconcile_ports(
            spark, versions, reconciliations, postgres_url=chosen.postgres_url, progress=progress_of("reconcile")
        )
