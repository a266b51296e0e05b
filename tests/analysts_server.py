"""The SQL server in the tests' own Spark session, with published versions, a refused run and a half-written one."""

import json
import threading
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from pyspark.sql import SparkSession

from batch_layer.errors import GateFailedError
from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Subject
from batch_layer.lake.iceberg_metadata_files import MetadataFiles
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.tables import OPEN_TABLES, RAW_EVENTS, TABLES
from batch_layer.published.http_published_catalog import PublishedCatalog, catalog_app
from batch_layer.published.published_metadata import PublishedSnapshot
from batch_layer.published.spark_connect_guard import ConnectGuard, start_guard
from batch_layer.published.spark_connect_jobs import StatementJobs
from batch_layer.published.spark_connect_rules import ConnectRules
from batch_layer.published.spark_connect_server import start_connect
from batch_layer.published.spark_connect_shares import StatementLimits
from batch_layer.published.spark_sql_rules import SqlRules
from batch_layer.run.run import run_once
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import ExpiredVersionError
from jobs.http.server import listening_socket
from jobs.local_stack.ports import free_ports
from tests.batch_fakes import TOPIC, MemoryVersions
from tests.spark_fixtures import CONNECT_TOKEN, MemoryRun

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "secret-----"
"""The video of every event that was never published."""


@dataclass(frozen=True)
class AnalystsServer:
    """A running server and the parts that it protects."""

    url: str
    spark_url: str
    """Spark's own port, which the proxy protects."""
    run: MemoryRun
    unpublished: dict[str, list[int]]
    """Table → snapshots that no version has."""


class SnapshotsOf:
    """The port `PublishedSnapshots` over versions in memory."""

    def __init__(self, versions: MemoryVersions, expired: Collection[int] = ()) -> None:
        self._versions, self._expired = versions, expired

    def current(self) -> int | None:
        return len(self._versions.published) or None

    def versions(self) -> Sequence[int]:
        return [each.version for each in self._versions.published if each.version not in self._expired]

    def check_kept(self, version: int) -> None:
        if version in self._expired:
            raise ExpiredVersionError(version, START, min(kept for kept in self.versions() if kept > version))

    def of_table(self, table: str, version: int) -> Sequence[PublishedSnapshot]:
        return [
            PublishedSnapshot(each.version, each.published_at, each.snapshots[table], each.version not in self._expired)
            for each in self._versions.published[:version]
        ]


def event(number: int, video_id: str) -> bytes:
    fields = {
        "event_id": str(uuid.UUID(int=number, version=4)),
        "video_id": video_id,
        "user_id": f"viewer {number}",
        "session_id": "s",
        "timestamp": (START - timedelta(minutes=number % 50)).isoformat(),
        "view_duration": 40,
        "revenue_eligible": True,
        "geo_location": "DE",
        "device_type": "tv",
    }
    return json.dumps(fields).encode()


def passing(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    return GateReport((), 0, folder)


def refusing(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    return GateReport(("no",), 1, folder)


def published_run(spark: SparkSession, folder: Path) -> MemoryRun:
    """Versions 1 (10 events) and 2 (15), then a run that the gate refused and one that was killed while writing."""
    run = MemoryRun.with_partitions(spark, 1, folder, passing)
    for count, number in ((10, 0), (5, 100)):
        _send(run, count, number, "video-a----")
        run_once(run.ports(), TOPIC)
    _send(run, 5, 200, SECRET)
    run.warehouse._gate = refusing
    with suppress(GateFailedError):
        run_once(run.ports(), TOPIC)
    current = run.versions.current()
    assert current is not None
    end = OffsetVector(TOPIC, run.log.highwaters())
    with run.warehouse.open_branch("half-written", current) as branch:
        run.warehouse.archive(branch, current.offsets, end)
    return run


def _send(run: MemoryRun, count: int, number: int, video_id: str) -> None:
    for index in range(number, number + count):
        run.log.append(0, START + timedelta(seconds=index), event(index, video_id))


@contextmanager
def analysts_server(
    spark: SparkSession,
    run: MemoryRun,
    limits: StatementLimits | None = None,
    *,
    expired: Collection[int] = (),
) -> Iterator[AnalystsServer]:
    """Serve the versions of a run; the wiring of `jobs.wiring.sql_server` around a session that is there already."""
    tables = IcebergTables(spark)
    port = free_ports().sql
    catalog_url = urlsplit(spark.conf.get("spark.sql.catalog.published.uri") or "")
    spark_port = spark.conf.get("spark.connect.grpc.binding.port")
    catalog = PublishedCatalog(OPEN_TABLES, SnapshotsOf(run.versions, expired), MetadataFiles(spark, _location(tables)))
    listener = listening_socket("127.0.0.1", catalog_url.port or 0, "")
    rules, target, jobs = ConnectRules(SqlRules(spark)), f"127.0.0.1:{spark_port}", StatementJobs(spark)
    with ExitStack() as ends:  # also when a test fails: what runs on would hold up the tests after it
        server = uvicorn.Server(uvicorn.Config(catalog_app(catalog), log_level="warning", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        ends.callback(thread.join)
        ends.callback(setattr, server, "should_exit", True)
        start_connect(spark)
        ends.callback(stop_connect, spark)
        guard = ConnectGuard(rules, target=target, token=CONNECT_TOKEN, limits=limits, jobs=jobs)
        ends.enter_context(closing(guard))
        proxy = start_guard(guard, "127.0.0.1", port)
        assert proxy is not None
        ends.callback(lambda: proxy.stop(grace=1).wait())
        yield AnalystsServer(f"sc://127.0.0.1:{port}", f"sc://127.0.0.1:{spark_port}", run, _unpublished(tables, run))


def stop_connect(spark: SparkSession) -> None:
    java: Any = spark._jvm
    java.org.apache.spark.sql.connect.service.SparkConnectService.stop(
        java.scala.Option.empty(), java.scala.Option.empty()
    )


def _location(tables: IcebergTables) -> Any:
    return lambda name: str(tables.table(name).operations().current().metadataFileLocation())


def _unpublished(tables: IcebergTables, run: MemoryRun) -> dict[str, list[int]]:
    """Return the snapshots that no version has and that no version was made from."""
    found = {}
    for name in TABLES:
        # a run that replaces rows leaves two snapshots, of which its version has the later one
        parents = {each.snapshotId(): each.parentId() for each in tables.table(name).snapshots()}
        known: set[int | None] = set()
        for version in run.versions.published:
            snapshot: int | None = version.snapshots[name]
            while snapshot is not None and snapshot not in known:
                known.add(snapshot)
                snapshot = parents.get(snapshot)
        found[name] = [
            int(each.snapshotId()) for each in tables.table(name).snapshots() if each.snapshotId() not in known
        ]
    assert found[RAW_EVENTS], "a refused and a half-written run leave snapshots"
    return found
