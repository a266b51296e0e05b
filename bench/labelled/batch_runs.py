"""Labelled traffic as a log of messages, and what a batch run costs that counts it."""

import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from batch_layer.judging.traffic_rules import NO_TRAFFIC_RULES, TrafficRules
from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.run.run import run_once
from batch_layer.traffic.day_events import DayEvent
from ingestion.contract.counting import VideoFacts
from ingestion.contract.traffic_policy import SHIPPED
from jobs.wiring.traffic_rules import traffic_rules
from tests.batch_fakes import TOPIC
from tests.spark_fixtures import MemoryRun, spark_jars

PARTITION_COUNT = 12
_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What a run took."""

    seconds: float
    cpu_seconds: float
    """Of this process and all that it started, which another process on the machine does not change."""
    jobs: int
    """Spark's."""
    stages: Mapping[str, float]


def costs(events: Sequence[DayEvent]) -> Iterator[tuple[str, Cost]]:
    """Yield the cost of a run without day rules and of one with, in a Spark that has done both before."""
    first, last = min(each.event_day for each in events), max(each.event_day for each in events)
    both = {"without": NO_TRAFFIC_RULES, "with": traffic_rules([replace(SHIPPED, effective_from_on=first)])}
    settled = datetime.combine(last + timedelta(days=2), midnight(), UTC)
    with _session() as spark:
        for name, rules in both.items():
            yield f"{name}, first", _run(spark, events[: len(events) // 20], rules, settled)
        for name, rules in both.items():
            yield name, _run(spark, events, rules, settled)


def _run(spark: SparkSession, events: Sequence[DayEvent], rules: TrafficRules, settled: datetime) -> Cost:
    folder = Path(tempfile.mkdtemp(prefix="bench-runs-"))
    try:
        for row in spark.sql("SHOW TABLES IN ledger.views").collect():
            spark.sql(f"DROP TABLE ledger.views.{row.tableName} PURGE")
        run = MemoryRun.with_partitions(spark, PARTITION_COUNT, folder, traffic_rules=rules)
        for event in sorted(events, key=lambda each: each.order):
            ended = event.happened_at + timedelta(seconds=event.view_duration)
            run.log.append(event.partition % PARTITION_COUNT, ended, message(event))
        run.log.now = settled
        run.catalogue.versions.append({each.video_id: VideoFacts(each.length_seconds) for each in events})
        owners = {each.video_id: each.payee_id for each in events if each.payee_id}
        whole = (1_000_000, date.min, date.max)
        run.catalogue.shares[1] = [(video, payee, *whole) for video, payee in owners.items()]
        cpu, jobs, started = cpu_seconds(), _jobs(spark), time.monotonic()
        result = run_once(run.ports(), TOPIC)
        return Cost(time.monotonic() - started, cpu_seconds() - cpu, _jobs(spark) - jobs, result.stage_seconds)
    finally:
        shutil.rmtree(folder)


def message(event: DayEvent) -> bytes:
    """Return an event as a direct producer sends it; made-up names become ids and networks of the contract's form."""
    digits = hashlib.sha256((event.network or "").encode()).hexdigest()
    fields: dict[str, Any] = {
        "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, event.event_id)),
        "video_id": event.video_id,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "timestamp": event.happened_at.isoformat(),
        "view_duration": event.view_duration,
        "revenue_eligible": True,
        "geo_location": event.country,
        "device_type": event.device_type,
        "client_network": event.network and f"2001:{digits[:4]}:{digits[4:8]}::/48",
        "network_kind": event.network_kind,
        "user_agent": event.agent,
        "referrer": event.referrer_host and f"https://{event.referrer_host}/",
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def cpu_seconds() -> float:
    """Return the processor time of this process and everything below it, ended children included."""
    parents: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / _TICKS)
    own, found = {os.getpid()}, 0.0
    while own:
        found += sum(parents[each][1] for each in own)
        own = {child for child, (parent, _) in parents.items() if parent in own}
    return found


def _jobs(spark: SparkSession) -> int:
    scheduler: Any = spark._jsc.sc().dagScheduler()
    return int(scheduler.numTotalJobs())


@contextmanager
def _session() -> Iterator[SparkSession]:
    """Start Spark as a run of this size has it, with tables in a folder."""
    folder = Path(tempfile.mkdtemp(prefix="bench-tables-"))
    catalog = folder_catalog(str(folder / "tables"))
    settings = SparkSettings(spark_jars(), catalog, log=folder / "spark.log", driver_memory="3g", is_short=True)
    spark = open_session(settings, "bench of batch runs")
    spark.sql("CREATE NAMESPACE IF NOT EXISTS ledger.views")
    try:
        yield spark
    finally:
        spark.stop()
        shutil.rmtree(folder)
