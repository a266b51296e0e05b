"""`./viewledger audit ids`: find ids that are counted on days too far apart for a batch run to recognise them."""

import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace

from batch_layer.reconciling.reconcile import published
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.printable import counted
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.telemetry.figures_file import record_repeated_ids
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_settings import SHORT_RUN_EVENTS_MAX, BatchSettings
from jobs.wiring.hdfs_check import check_hdfs

SHOWN_MAX = 20


def run(*, as_json: bool) -> ExitCode:
    """Find repeated ids. Exit codes: 4 a server is away, 5 nothing is published, 6 an id is counted more than once."""
    chosen = BatchSettings.from_environ(settings.environment("PIPELINE"))
    with errors_as_exit_codes(), ExitStack() as closed:
        version = published(closed.enter_context(closing(PostgresVersionStore(chosen.postgres_url))))
        check_hdfs(chosen.hdfs_url)
        # imported here: pyspark takes a second, which a refusal need not wait for
        from batch_layer.lake.iceberg_tables import IcebergTables
        from batch_layer.lake.spark_session import open_session
        from batch_layer.lake.tables import EVENTS
        from batch_layer.reconciling.spark_repeated_ids import repeated_ids

        is_short = version.row_counts[EVENTS] < SHORT_RUN_EVENTS_MAX
        spark = open_session(replace(chosen.spark, is_short=is_short), "viewledger audit")
        closed.callback(spark.stop)
        count, named = repeated_ids(IcebergTables(spark).at(EVENTS, version.snapshots[EVENTS]))
    record_repeated_ids(chosen.state, count)
    if as_json:
        repeated = [asdict(each) for each in named]
        print(json.dumps({"version": version.version, "repeated_count": count, "repeated": repeated}, default=str))
    elif count == 0:
        print(f"version {version.version}: every id is counted once at most")
    else:
        print("\n".join(_shown(list(map(str, named)), count)))
    if count:
        raise CommandError(
            f"version {version.version}: {named[0]}; {counted(count, 'such id')} in all", ExitCode.DIFFERENCE
        )
    return ExitCode.OK


def _shown(sentences: Sequence[str], count: int) -> list[str]:
    more = count - min(len(sentences), SHOWN_MAX)
    return [
        *sentences[:SHOWN_MAX],
        *([f"and {more:,} more; --json shows the first {len(sentences):,}"] if more else []),
    ]
