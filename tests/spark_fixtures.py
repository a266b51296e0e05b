"""Spark for tests: one session for the whole run, and fakes of everything else that a batch run needs."""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.archive.archive_files import ArchivedFile, Hours, RecordedFile
from batch_layer.errors import RefusedError
from batch_layer.gate import gx_gate
from batch_layer.gate.spark_gate_sums import Gate
from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.published.spark_connect_server import TOKEN_VARIABLE
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.reconciling.reconciliation import Days, Reconciliation
from batch_layer.reconciling.spark_archive_check import SparkArchiveCheck
from batch_layer.run.run import RunPorts
from batch_layer.run.spark_warehouse import SparkWarehouse
from batch_layer.versions.day_changes import DayChange
from batch_layer.versions.ports import RunEntry, VideoCount
from ingestion.contract.counting import Received, VideoFacts
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.offsets import LogPlace, OffsetVector
from ingestion.contract.settled import BilledVideo
from ingestion.contract.version import PublishedVersion
from jobs.local_stack.ports import Ports, free_ports
from jobs.settings.state_home import state_home

TOPIC = "video-views"


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
            PASSWORD_SETTING: PASSWORD,
            **for_analysts(free_ports()),
        },
    )
    os.environ[TOKEN_VARIABLE] = CONNECT_TOKEN
    session = open_session(settings, "viewledger tests")
    del os.environ[TOKEN_VARIABLE]  # for Java alone: a client that finds it would send it, and ask for TLS
    yield session
    session.stop()


CONNECT_TOKEN = "only the door knows it"
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


@dataclass(frozen=True)
class Message:
    """A record of the log in memory."""

    partition: int
    offset: int
    appended_at: datetime
    value: bytes

    @property
    def received(self) -> Received:
        return Received(self.partition, self.offset, self.appended_at, decode_view_event(self.value))


class MemoryLog:
    """The log in memory: the ports `LogEnds` and `RecordSource`."""

    base = 0

    def __init__(self, spark: SparkSession, partition_count: int) -> None:
        self._spark = spark
        self.messages: list[list[Message]] = [[] for _ in range(partition_count)]
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def append(self, partition: int, appended_at: datetime, value: bytes) -> None:
        here = self.messages[partition]
        here.append(Message(partition, len(here), appended_at, value))
        self.now = max(self.now, appended_at)

    def all(self) -> list[Message]:
        return [message for here in self.messages for message in here]

    def partition_count(self) -> int:
        return len(self.messages)

    def broker_time(self) -> datetime:
        return self.now

    def beginnings(self) -> tuple[int, ...]:
        return (0,) * len(self.messages)

    def highwaters(self) -> tuple[int, ...]:
        return tuple(len(here) for here in self.messages)

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        return {partition: self.messages[partition][offset].appended_at for partition, offset in offsets.items()}

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


def key_of(value: bytes) -> bytes | None:
    """Return the key that a producer gives a message: the video id where it can be read, sometimes a wrong one."""
    try:
        return str(json.loads(value)["video_id"]).encode()
    except (ValueError, KeyError, TypeError):
        return b"c" if value else None


@dataclass
class MemorySpeed:
    """The port `SpeedCut`: answers with the positions it was given; None stands for no state."""

    positions: list[int | None]
    pruned: list[tuple[int, ...]] = field(default_factory=list)

    def cut(self, partition_count: int) -> Sequence[int | None]:
        assert partition_count == len(self.positions)
        return list(self.positions)

    def prune(self, offset_ends: Sequence[int]) -> int:
        self.pruned.append(tuple(offset_ends))
        return 0


class MemoryVersions:
    """The ports `VersionStore` and `ReconciliationStore` in memory."""

    def __init__(self) -> None:
        self.published: list[PublishedVersion] = []
        self.counts: list[tuple[int, VideoCount]] = []
        self.days: list[tuple[int, DayChange]] = []
        self.files: dict[str, tuple[int, ArchivedFile]] = {}
        self.found: list[tuple[str, Reconciliation]] = []
        self.journal: dict[str, RunEntry] = {}
        self.is_locked_elsewhere = False

    def lock(self) -> bool:
        return not self.is_locked_elsewhere

    def current(self) -> PublishedVersion | None:
        return self.published[-1] if self.published else None

    def version(self, number: int) -> PublishedVersion | None:
        return self.published[number - 1] if 0 < number <= len(self.published) else None

    def accepted_until(self, version: int) -> frozenset[LogPlace]:
        return frozenset(place for each in self.published[:version] for place in each.accepted_late)

    def begin(self, entry: RunEntry) -> None:
        self.journal[entry.run_id] = entry

    def end(self, run_id: str, state: str, detail: Mapping[str, Any]) -> None:
        if self.journal[run_id].state == "running":
            self.journal[run_id] = replace(self.journal[run_id], state=state, detail=dict(detail))

    def runs_in(self, state: str) -> list[str]:
        return [run_id for run_id, entry in self.journal.items() if entry.state == state]

    def publish(
        self,
        version: PublishedVersion,
        changed: Iterable[VideoCount],
        detail: Mapping[str, Any],
        days: Iterable[DayChange],
        archived: Mapping[str, ArchivedFile],
    ) -> None:
        if version.version != len(self.published) + 1:
            raise RefusedError(f"version {version.version} does not follow {len(self.published)}")
        former = self.published[-1].event_contracts.boundaries if self.published else ()
        if version.event_contracts.boundaries[: len(former)] != former:
            raise RefusedError(f"version {version.version} has other contracts; use the program that published them")
        self.published.append(version)
        self.counts += [(version.version, each) for each in changed]
        self.days += [(version.version, each) for each in days]
        self.files |= {path: (version.version, each) for path, each in archived.items()}
        entry = self.journal[version.run_id]
        self.journal[version.run_id] = replace(entry, state="published", version=version.version, detail=dict(detail))

    def recorded_files(self) -> dict[str, RecordedFile]:
        return {path: RecordedFile(version, file.status) for path, (version, file) in self.files.items()}

    def recorded_hours(self, paths: Collection[str]) -> dict[str, Hours]:
        return {path: file.hours for path, (_, file) in self.files.items() if path in paths}

    def hours_until(self, version: int, days: Days | None) -> dict[str, Hours]:
        files = {path: file.hours for path, (since, file) in self.files.items() if since <= version}
        of_day = {
            path: {place: each for place, each in hours.items() if days is None or place.hour.date() in days}
            for path, hours in files.items()
        }
        return {path: hours for path, hours in of_day.items() if hours}

    def record(self, kind: str, found: Reconciliation) -> None:
        self.found.append((kind, found))

    def unreconciled_days(self) -> Days:
        since = max((found.version for kind, found in self.found if kind == "run" or found.days is None), default=0)
        received = {place.hour.date() for at, file in self.files.values() if at > since for place in file.hours}
        judged = (entry.detail["judged_days"] for entry in self.journal.values() if (entry.version or 0) > since)
        return tuple(sorted(received.union(date.fromisoformat(day) for days in judged for day in days)))

    def open_differences(self) -> list[Reconciliation]:
        still_open: list[Reconciliation] = []
        for kind, found in self.found:
            if not found.is_equal:
                still_open.append(found)
            elif kind == "command":
                still_open = [each for each in still_open if found.days not in (None, each.days)]
        return still_open

    def counts_at(self, version: int) -> dict[str, tuple[int, int]]:
        return {each.video_id: (each.views, each.billable_views) for at, each in self.counts if at <= version}

    def counts_now(self) -> dict[str, tuple[int, int]]:
        newest = self.counts_at(len(self.published))
        return {video_id: counts for video_id, counts in newest.items() if counts != (0, 0)}


@dataclass
class MemoryCatalogue:
    """The port `CatalogueFacts`: one dictionary for each catalogue version from 1 on."""

    versions: list[dict[str, VideoFacts]] = field(default_factory=list)

    def latest_version(self) -> int:
        return len(self.versions)

    def facts(self, versions: Collection[int]) -> Iterable[tuple[int, str, VideoFacts]]:
        for version in sorted(set(versions) - {0}):
            for video_id, known in self.versions[version - 1].items():
                yield version, video_id, known


@dataclass
class MemoryDecisions:
    """The port `LateDecisions`."""

    places: set[LogPlace] = field(default_factory=set)

    def accepted(self) -> frozenset[LogPlace]:
        return frozenset(self.places)


@dataclass
class Found:
    """The ports `ArchiveCheck`, `Comparison` and `BilledViews`, which find what the test sets."""

    files: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    posted: list[BilledVideo] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    billable: Mapping[str, int] = field(default_factory=dict)
    failure: Exception | None = None
    """Raised when the judged events are read."""
    asked: list[str] = field(default_factory=list)
    asked_days: Days | None = None

    def differences(self, version: PublishedVersion) -> list[str]:
        return self.files

    def repair(self, version: PublishedVersion) -> list[str]:
        self.files.clear()
        return ["raw_events"]

    def raw_events(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        self.asked.append("raw")
        return 5, self.raw

    def events(self, version: PublishedVersion, days: Days | None) -> list[str]:
        self.asked.append("judged")
        if self.failure:
            raise self.failure
        return self.judged

    def videos(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        self.asked.append("served")
        return 2, self.served

    def billable_views(self, version: PublishedVersion, start_on: date, end_on: date) -> Mapping[str, int]:
        self.asked.append(f"billable of version {version.version}")
        return self.billable

    def billed(self, days: Days | None) -> list[BilledVideo]:
        self.asked_days = days
        return self.posted

    def paid_twice(self) -> list[str]:
        return self.twice


class QuietMetrics:
    """The port `RunMetrics`: keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def record(self, outcome: str, figures: Mapping[str, float], stage_seconds: Mapping[str, float]) -> None:
        self.outcomes.append(outcome)


@dataclass
class MemoryRun:
    """A batch run on real Spark and Iceberg with everything else in memory."""

    spark: SparkSession
    log: MemoryLog
    speed: MemorySpeed
    versions: MemoryVersions
    catalogue: MemoryCatalogue
    warehouse: SparkWarehouse
    metrics: QuietMetrics
    decisions: MemoryDecisions = field(default_factory=MemoryDecisions)
    lines: list[str] = field(default_factory=list)

    @classmethod
    def with_partitions(
        cls, spark: SparkSession, partition_count: int, reports: Path, gate: Gate = gx_gate.judge
    ) -> "MemoryRun":
        log, catalogue = MemoryLog(spark, partition_count), MemoryCatalogue()
        warehouse = SparkWarehouse(spark, log, catalogue, reports=reports, gate=gate)
        speed = MemorySpeed([None] * partition_count)
        return cls(spark, log, speed, MemoryVersions(), catalogue, warehouse, QuietMetrics())

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
                ledger=Found(),
                progress=self.progress,
            ),
            decisions=self.decisions,
            warehouse=self.warehouse,
            metrics=self.metrics,
            progress=self.progress,
            clock=lambda: clock,
        )
        return replace(ports, **others)
