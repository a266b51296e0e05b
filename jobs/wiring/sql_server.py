"""The SQL server's parts in one process: the catalogue of published versions, Spark, and the proxy in front of it."""

import logging
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

from batch_layer.lake.iceberg_metadata_files import MetadataFiles
from batch_layer.lake.iceberg_tables import NAMESPACE
from batch_layer.lake.spark_settings import SparkSettings
from batch_layer.lake.tables import OPEN_TABLES
from batch_layer.published.http_published_catalog import PublishedCatalog, catalog_app
from batch_layer.published.postgres_published_snapshots import PostgresPublishedSnapshots
from batch_layer.published.spark_connect_guard import ConnectGuard, start_guard
from batch_layer.published.spark_connect_jobs import StatementJobs
from batch_layer.published.spark_connect_rules import ConnectRules
from batch_layer.published.spark_connect_server import connect_service
from batch_layer.published.spark_connect_shares import StatementLimits
from batch_layer.published.spark_sql_rules import SqlRules
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.server import listening_socket, served_beside
from jobs.settings.declared.listening import BIND_HOST, ICEBERG_PORT, SQL_PORT
from jobs.settings.declared.pipeline import SQL_STATEMENT_SECONDS, SQL_STATEMENTS_PER_CLIENT
from jobs.settings.declared.servers import SQL_POSTGRES_URL
from jobs.wiring.batch_settings import spark_settings


@dataclass(frozen=True)
class SqlServerSettings:
    """The settings of the SQL server."""

    postgres_url: str = field(repr=False)
    """Holds the password of a login that may only read."""
    spark: SparkSettings
    host: str
    port: int
    iceberg_port: int
    limits: StatementLimits = field(default_factory=StatementLimits)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "SqlServerSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            postgres_url=SQL_POSTGRES_URL.read(environ),
            spark=spark_settings(environ, {}),
            host=BIND_HOST.read(environ),
            port=SQL_PORT.read(environ),
            iceberg_port=ICEBERG_PORT.read(environ),
            limits=StatementLimits(SQL_STATEMENT_SECONDS.read(environ), SQL_STATEMENTS_PER_CLIENT.read(environ)),
        )


@dataclass(frozen=True)
class SqlServer:
    """A running server."""

    url: str
    """The address for Spark Connect clients on this machine."""
    java: "subprocess.Popen[bytes]"
    """The process id of Spark; without it the server answers nothing."""


@contextmanager
def sql_server(chosen: SqlServerSettings) -> Iterator[SqlServer]:
    """Run the server until the block ends.

    Raises CommandError: UNAVAILABLE if a port is taken, REFUSED if its login may do more than read.
    """
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    snapshots = PostgresPublishedSnapshots(chosen.postgres_url)
    if (login := snapshots.login_that_may_write()) is not None:
        raise CommandError(
            f"the login {login} of {SQL_POSTGRES_URL.name} may change what it reads; give the SQL server one of "
            "its own with the role viewledger_analyst alone (./viewledger migrate --logins)",
            ExitCode.REFUSED,
        )
    location_of = partial(snapshots.metadata_location, *NAMESPACE.split("."))
    listener = listening_socket(chosen.host, chosen.iceberg_port, ICEBERG_PORT.name)
    with closing(listener), connect_service(chosen.spark, f"http://127.0.0.1:{chosen.iceberg_port}") as service:
        catalog = PublishedCatalog(OPEN_TABLES, snapshots, MetadataFiles(service.spark, location_of))
        rules = ConnectRules(SqlRules(service.spark))
        guard = ConnectGuard(
            rules,
            target=f"127.0.0.1:{service.port}",
            token=service.token,
            limits=chosen.limits,
            jobs=StatementJobs(service.spark),
        )
        with _listening(guard, chosen), served_beside(catalog_app(catalog), listener):
            yield SqlServer(f"sc://127.0.0.1:{chosen.port}", service.java)


@contextmanager
def _listening(guard: ConnectGuard, chosen: SqlServerSettings) -> Iterator[None]:
    with closing(guard):
        server = start_guard(guard, chosen.host, chosen.port)
        if server is None:
            raise CommandError(
                f"cannot listen on {chosen.host}:{chosen.port}; stop what holds the port, or set {SQL_PORT.name}",
                ExitCode.UNAVAILABLE,
            )
        try:
            yield
        finally:
            server.stop(grace=1.0).wait()
