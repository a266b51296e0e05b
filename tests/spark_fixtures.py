"""Spark for tests: one session for the whole run, and a batch run with everything else in memory."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Gate, Subject
from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.judging.spark_billability import facts_frame
from batch_layer.lake.aggregates import COMPLETION
from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.published.spark_connect_server import TOKEN_VARIABLE
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.reconciling.spark_archive_check import SparkArchiveCheck
from batch_layer.reconciling.spark_videos import COUNTS
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.spark_warehouse import SparkWarehouse
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.traits import TraitsKey
from ingestion.contract.version import PublishedVersion
from jobs.local_stack.ports import Ports, free_ports
from jobs.settings.state_home import state_home
from tests.batch_fakes import (
    ATTESTATION_KEYS,
    TOPIC,
    Found,
    FoundInChange,
    MemoryCatalogue,
    MemoryDecisions,
    MemoryLog,
    MemorySpeed,
    MemoryTrafficDecisions,
    MemoryVersions,
    QuietMetrics,
    key_of,
)
from tests.shipped_policies import POLICIES


def spark_jars() -> Path:
    """The folder that set-up made, or the one of the running stack."""
    return Path(os.environ.get("VIEWLEDGER_JARS") or state_home() / "jars" / "spark")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One session with a catalog in a folder; `empty_tables` lets a test begin with none."""
    assert any(spark_jars().glob("iceberg-*.jar")), f"no Iceberg jar in {spark_jars()}; ./viewledger test sets up"
    settings = SparkSettings(
        jars=spark_jars(),
        catalog=folder_catalog(str(tmp_path_factory.mktemp("warehouse"))),
        log=tmp_path_factory.mktemp("log") / "spark.log",
        shuffle_partitions=2,
        driver_memory="1g",
        is_short=True,
        # a few hundred rows: compiling a query takes longer than interpreting it
        extra={
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            # a law looks at every stage of a comparison, and beyond this number the newest skipped ones go first
            "spark.ui.retainedStages": "20000",
            "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
            PASSWORD_SETTING: PASSWORD,
            **for_analysts(free_ports()),
        },
    )
    # for Java alone: a client that finds the token would send it, and ask for TLS
    for_java = {TOKEN_VARIABLE: CONNECT_TOKEN, "SPARK_DIST_CLASSPATH": str(jar_of_bare_disk())}
    os.environ.update(for_java)
    session = open_session(settings, "viewledger tests")
    for name in for_java:
        del os.environ[name]
    write_no_checksums(session)
    yield session
    session.stop()


def jar_of_bare_disk() -> Path:
    """Return the jar of the disk by which Java itself gives a file its rights; Hadoop's own starts `chmod` for each.

    Spark opens it before it has its jars. It comes after Spark's own class path, of which the archive of classes is.
    """
    jar = next(spark_jars().glob("hadoop-bare-naked-local-fs-*.jar"), None)
    assert jar, f"no jar of the bare local disk in {spark_jars()}; ./viewledger test sets up"
    return jar


def write_no_checksums(spark: SparkSession) -> None:
    """Save the second file that Hadoop writes beside each file of a local disk."""
    java: Any = spark._jvm
    java.org.apache.hadoop.fs.FileSystem.getLocal(spark._jsc.hadoopConfiguration()).setWriteChecksum(False)


CONNECT_TOKEN = "only the door knows it"
TRAITS_KEY = TraitsKey(b"key of traits in all tests      ")
KEYS = BatchKeys(TRAITS_KEY, ATTESTATION_KEYS)
PASSWORD, PASSWORD_SETTING = "nobody sees it", "spark.sql.catalog.unused.jdbc.password"


def for_analysts(ports: Ports) -> dict[str, str]:
    """Settings by which a test can serve Spark Connect and the published catalog from the same session."""
    return {
        "spark.sql.catalog.published": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.published.type": "rest",
        "spark.sql.catalog.published.uri": f"http://127.0.0.1:{ports.iceberg}",
        "spark.sql.catalog.published.cache-enabled": "false",
        "spark.sql.variable.substitute": "false",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(ports.sql),
    }


@pytest.fixture
def empty_tables(spark: SparkSession) -> None:
    """Removes every batch table, so that a test begins with nothing archived."""
    spark.catalog.clearCache()
    spark.sql("CREATE NAMESPACE IF NOT EXISTS ledger.views")
    for row in spark.sql("SHOW TABLES IN ledger.views").collect():
        spark.sql(f"DROP TABLE ledger.views.{row.tableName} PURGE")


class SparkMemoryLog(MemoryLog):
    """The log in memory that Spark can read: the port `RecordSource` too."""

    def __init__(self, spark: SparkSession, partition_count: int) -> None:
        super().__init__(partition_count)
        self._spark = spark

    def read(self, start: OffsetVector, end: OffsetVector) -> DataFrame:
        chosen = [
            message
            for here, begin, stop in zip(self.messages, start.ends, end.ends, strict=True)
            for message in here[begin:stop]
        ]
        table = pa.table(
            {
                "topic": pa.array([TOPIC] * len(chosen), pa.string()),
                "partition": pa.array([each.partition for each in chosen], pa.int32()),
                "offset": pa.array([each.offset for each in chosen], pa.int64()),
                "appended_at": pa.array([each.appended_at for each in chosen], pa.timestamp("us", "UTC")),
                "key": pa.array([key_of(each.value) for each in chosen], pa.binary()),
                "value": pa.array([each.value for each in chosen], pa.binary()),
            }
        )
        return self._spark.createDataFrame(table)


@dataclass
class SparkMemoryCatalogue(MemoryCatalogue):
    """The port `CatalogueFacts`."""

    spark: SparkSession | None = None

    def facts(self, version: int) -> DataFrame:
        assert self.spark is not None
        return facts_frame(self.spark, self.versions[version - 1].items() if version else ())

    def owners(self, version: int) -> DataFrame:
        assert self.spark is not None
        columns = "video_id string, payee_id string, share_ppm int, from_on date, to_on date"
        return self.spark.createDataFrame(self.shares.get(version, []), columns)

    def payee_viewers(self, version: int) -> DataFrame:
        assert self.spark is not None
        return self.spark.createDataFrame(self.viewers.get(version, []), "payee_id string, user_id string")


def whole_gate(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    """The gate of the product; its library takes two seconds to load, so the first run loads it and no import."""
    from batch_layer.gate import gx_gate

    return gx_gate.judge(spark, subject, run_id, folder)


@dataclass(frozen=True)
class MemoryServed:
    """The port `ServedCounts`: the rows of `MemoryVersions` as data frames."""

    spark: SparkSession
    versions: MemoryVersions

    def counts_at(self, version: int) -> DataFrame:
        return self.counts_between(0, version)

    def counts_between(self, after: int, until: int) -> DataFrame:
        newest = {each.video_id: each for at, each in self.versions.counts if after < at <= until}
        rows = [
            (each.video_id, None, each.views, each.billable_views, each.watched_seconds or 0)
            for each in newest.values()
        ]
        return self._frame(rows).drop("event_day")

    def days_between(self, after: int, until: int) -> DataFrame:
        rows = [
            (
                each.video_id,
                date.fromisoformat(each.event_day),
                each.views,
                each.billable_views,
                each.watched_seconds or 0,
                *[getattr(each, name) for name in COMPLETION],
            )
            for at, each in self.versions.days
            if after < at <= until
        ]
        sums = [F.sum(name).alias(name) for name in (*COUNTS, *COMPLETION)]
        return self._frame(rows, COMPLETION).groupBy("video_id", "event_day").agg(*sums)

    def invalid_between(self, after: int, until: int) -> DataFrame:
        sums: Counter[tuple[date, str]] = Counter()
        for at, each in self.versions.invalid:
            if after < at <= until:
                sums[date.fromisoformat(each.event_day), each.invalid_class] += each.events
        kinds = "event_day date, invalid_class string, events bigint"
        return self.spark.createDataFrame([(*key, events) for key, events in sums.items()], kinds)

    def viewers_between(self, after: int, until: int) -> DataFrame:
        sums: Counter[tuple[str, date]] = Counter()
        for at, each in self.versions.viewers:
            if after < at <= until:
                sums[each.video_id, date.fromisoformat(each.event_day)] += each.viewers
        kinds = "video_id string, event_day date, unique_viewers bigint"
        return self.spark.createDataFrame([(*key, viewers) for key, viewers in sums.items()], kinds)

    def _frame(self, rows: Sequence[tuple[object, ...]], more: Iterable[str] = ()) -> DataFrame:
        kinds = {"video_id": pa.string(), "event_day": pa.date32(), **dict.fromkeys((*COUNTS, *more), pa.int64())}
        columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
        arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds.values(), strict=True)]
        return self.spark.createDataFrame(pa.table(arrays, names=list(kinds)))


@dataclass
class MemoryRun:
    """A batch run on real Spark and Iceberg with everything else in memory."""

    spark: SparkSession
    log: SparkMemoryLog
    speed: MemorySpeed
    versions: MemoryVersions
    catalogue: SparkMemoryCatalogue
    warehouse: SparkWarehouse
    metrics: QuietMetrics
    decisions: MemoryDecisions = field(default_factory=MemoryDecisions)
    traffic_decisions: MemoryTrafficDecisions = field(default_factory=MemoryTrafficDecisions)
    lines: list[str] = field(default_factory=list)

    @classmethod
    def with_partitions(
        cls, spark: SparkSession, partition_count: int, reports: Path, gate: Gate = whole_gate, **others: Any
    ) -> "MemoryRun":
        log, catalogue, versions = (
            SparkMemoryLog(spark, partition_count),
            SparkMemoryCatalogue(spark=spark),
            MemoryVersions(),
        )
        settings: dict[str, Any] = {"keys": KEYS, "policies": POLICIES, **others}
        warehouse = SparkWarehouse(
            spark, log, catalogue, staging=versions.staging, reports=reports, gate=gate, **settings
        )
        speed = MemorySpeed([None] * partition_count)
        return cls(spark, log, speed, versions, catalogue, warehouse, QuietMetrics())

    @property
    def current(self) -> PublishedVersion:
        """The published version; there is one."""
        found = self.versions.current()
        assert found is not None
        return found

    def progress(self, stage: str, text: str) -> None:
        self.lines.append(f"{stage}: {text}")

    def ports(self, **others: Any) -> RunPorts:
        clock = datetime(2026, 11, 20, 13, tzinfo=UTC) + timedelta(seconds=len(self.versions.journal))
        ports = RunPorts(
            log=self.log,
            speed=self.speed,
            versions=self.versions,
            reconcile=ReconcilePorts(
                versions=self.versions,
                reconciliations=self.versions,
                archive=SparkArchiveCheck(self.spark, self.versions),
                comparison=Found(),
                changes=FoundInChange(),
                ledger=Found(),
                progress=self.progress,
            ),
            decisions=self.decisions,
            traffic_decisions=self.traffic_decisions,
            warehouse=self.warehouse,
            metrics=self.metrics,
            progress=self.progress,
            clock=lambda: clock,
        )
        return replace(ports, **others)
