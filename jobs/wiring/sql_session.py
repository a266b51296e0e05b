"""A session with the SQL server on one published version: the running server, or one for this command alone."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batch_layer.published.postgres_published_snapshots import PostgresPublishedSnapshots
from batch_layer.published.published_names import ForbiddenError, QueryError
from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports, is_open
from jobs.settings.declared.servers import SQL_URL
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.sql_version import VersionChoice, chosen_version

if TYPE_CHECKING:
    from batch_layer.published.spark_connect import PublishedTables


@dataclass(frozen=True)
class SqlSession:
    """Answers queries about one version."""

    tables: "PublishedTables"
    version: int
    snapshots: PostgresPublishedSnapshots


@contextmanager
def sql_session(environ: Mapping[str, str], choice: VersionChoice) -> Iterator[SqlSession]:
    """Yield a session whose tables are those of the chosen version.

    Errors of its queries become CommandErrors: BAD_INPUT for SQL that is wrong or not open to analysts,
    UNAVAILABLE for a server that is away.
    """
    with errors_as_exit_codes():
        snapshots = PostgresPublishedSnapshots(settings.PostgresConnection.from_environ(environ).url)
        version = chosen_version(snapshots, choice)
        # imported here and below: Spark's client takes a second to load, which a refusal need not wait for
        from batch_layer.published.spark_connect import PublishedTables

        with _server(environ) as url, closing(PublishedTables(url, f"v{version}")) as tables:
            yield SqlSession(tables, version, snapshots)


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Convert an error of a query to a CommandError."""
    try:
        yield
    except (ForbiddenError, QueryError) as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    except UnavailableError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from error


@contextmanager
def _server(environ: Mapping[str, str]) -> Iterator[str]:
    url = SQL_URL.read(environ)
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1" or is_open(parts.port or 15002):
        yield url
        return
    check_hdfs(settings.HdfsConnection.from_environ(environ).url)
    from jobs.wiring.sql_server import SqlServerSettings, sql_server

    free = free_ports()
    chosen = replace(
        SqlServerSettings.from_environ(environ), host="127.0.0.1", port=free.sql, iceberg_port=free.iceberg
    )
    started = time.perf_counter()
    print("sql: no SQL server runs; starting Spark for this command alone", file=sys.stderr, flush=True)
    with sql_server(chosen) as server:
        seconds = time.perf_counter() - started
        print(f"sql: started in {seconds:.0f} s; ./viewledger run sql keeps one running", file=sys.stderr, flush=True)
        yield server.url
