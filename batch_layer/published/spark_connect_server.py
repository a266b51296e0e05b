"""Run Spark's own Spark Connect service inside a session's Java process, protected by a token."""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, rest_catalog
from batch_layer.published.published_names import CATALOG, CURRENT

HDFS_USER = "analyst"
"""An account that may read the warehouse and write nowhere."""
TOKEN_VARIABLE = "SPARK_CONNECT_AUTHENTICATE_TOKEN"  # noqa: S105  (a name, not a token)
"""The variable in which Spark looks for it."""
TASKS_AT_ONCE = 64
"""Tasks on one machine; its cores share their time among them."""
JAVA_KNOWS = (
    *("HADOOP_CONF_DIR", "HOME", "JAVA_HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH"),
    *("SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "TMPDIR", "TZ"),
)
"""Names of the environment that Spark's Java process gets."""


@dataclass(frozen=True)
class ConnectService:
    """A running service on 127.0.0.1; with the token a client can do everything that Spark can."""

    spark: SparkSession
    port: int
    token: str

    @property
    def java(self) -> "subprocess.Popen[bytes]":
        """Return the process id of Spark."""
        gateway: Any = self.spark.sparkContext._gateway
        return gateway.proc  # type: ignore[no-any-return]


@contextmanager
def connect_service(settings: SparkSettings, catalog_url: str) -> Iterator[ConnectService]:
    """Start a Spark whose only catalog is the published one, and its Connect service.

    The Java process receives none of our settings, so it knows no password; for HDFS it is `analyst`.
    """
    port, token = _free_port(), secrets.token_hex(32)
    extra = {
        "spark.sql.defaultCatalog": CATALOG,
        "spark.sql.runSQLOnFiles": "false",
        "spark.sql.variable.substitute": "false",  # '${env:NAME}' in a statement, and every setting by its name
        # Iceberg's own statements are not wanted, and its parser loses the values of `:name`
        "spark.sql.extensions": "",
        # a statement's tasks run to their end, so there are more places for tasks than one client can fill
        "spark.scheduler.mode": "FAIR",
        "spark.scheduler.allocation.file": (Path(__file__).parent / "spark_fair_pools.xml").as_uri(),
        "spark.default.parallelism": "2",
        "spark.connect.execute.manager.detachedTimeout": "60s",  # a client that went away and did not come back
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    catalog = rest_catalog(catalog_url, CURRENT)
    master = f"local[{TASKS_AT_ONCE}]" if settings.master.startswith("local[") else settings.master
    chosen = replace(settings, master=master, catalog=catalog, catalog_name=CATALOG, extra={**settings.extra, **extra})
    with _environment_for_java(token):
        spark = open_session(chosen, "viewledger sql")
    service = ConnectService(spark, port, token)
    try:
        start_connect(spark)
        yield service
    finally:
        if service.java.poll() is None:  # a dead process cannot be stopped
            spark.stop()


@contextmanager
def _environment_for_java(token: str) -> Iterator[None]:
    """Limit the environment of Java processes started here to their programs and the token: no settings or passwords.

    The token is in its environment because everybody on the machine may read a process's arguments.
    """
    ours = dict(os.environ)
    for name in ours:
        if name not in JAVA_KNOWS:
            del os.environ[name]
    os.environ |= {"HADOOP_USER_NAME": HDFS_USER, TOKEN_VARIABLE: token}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(ours)


def start_connect(spark: SparkSession) -> None:
    """Start the service with the session's own settings."""
    java: Any = spark._jvm
    java.org.apache.spark.sql.connect.service.SparkConnectService.start(spark._jsc.sc())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
