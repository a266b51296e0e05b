"""Wire a batch run: each port of the batch layer gets its implementation, cheapest connection first."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from batch_layer.errors import AtWorkError, RefusedError
from batch_layer.judging.postgres_group_decisions import PostgresGroupDecisions
from batch_layer.judging.postgres_late_decisions import PostgresLateDecisions
from batch_layer.judging.postgres_policies import counting_policies, traffic_policies
from batch_layer.judging.traffic_rules import TrafficRules
from batch_layer.lake.tables import RAW_EVENTS
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.run.ports import RunObserver, Warehouse
from batch_layer.run.prometheus_batch_metrics import PrometheusBatchMetrics
from batch_layer.run.run import run_once
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.run_result import RunResult
from batch_layer.stages import Progress
from batch_layer.versions.postgres_log_generations import PostgresLogGenerations
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.periods import Period
from ingestion.contract.unavailable import Part
from ingestion.contract.version import PublishedVersion
from jobs.resilience.patience import try_again
from jobs.wiring.batch_settings import (
    INTERPRETED_EVENTS_MAX,
    INTERPRETED_STORED_MAX,
    SHORT_RUN_EVENTS_MAX,
    STORED_EVENTS_PER_TASK,
    RunSettings,
)
from jobs.wiring.dated_lists import check_agent_lists
from jobs.wiring.event_log import open_log_ends
from jobs.wiring.hdfs_check import check_hdfs
from jobs.wiring.kafka_record_batches import read_every_batch
from jobs.wiring.progress import progress_of
from jobs.wiring.reconcile_ports import note_reconciled, reconcile_ports
from jobs.wiring.traffic_rules import refuse_unruled, traffic_rules
from speed_layer.redis_segment_store import RedisSegmentStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CLOCK_SECONDS_MAX = 60.0
"""Iceberg tolerates this difference, too."""
Answer = TypeVar("Answer")

report = progress_of("batch")


def attempt(work: Callable[[], Answer], attempts: int, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """Do the work; retry it after a bounded wait while a server does not answer."""

    def before_wait(error: Exception, failures: int, seconds: float) -> None:
        report("retry", f"{error}; attempt {failures + 1} of {attempts} in {seconds:.0f} s")

    return try_again(work, attempts=attempts, before_wait=before_wait, sleep=sleep)


def do_run(
    chosen: RunSettings,
    *,
    begin_at_oldest: bool = False,
    judge_period: Period | None = None,
    session: "SparkSession | None" = None,
    progress: Progress = report,
    observer: RunObserver | None = None,
) -> RunResult:
    """Do one batch run, and note what its reconciliation left open. `session`: see `open_ports`."""
    with open_ports(chosen, session=session, progress=progress) as opened:
        ports = opened if observer is None else replace(opened, observer=observer)
        try:
            return run_once(ports, chosen.topic, begin_at_oldest=begin_at_oldest, judge_period=judge_period)
        finally:
            note_reconciled(chosen, ports.reconcile.reconciliations)


@contextmanager
def open_ports(
    chosen: RunSettings, *, session: "SparkSession | None" = None, progress: Progress = report
) -> Iterator[RunPorts]:
    """Connect to everything, cheapest first, so that an unreachable server is found before Spark starts.

    `session` is a Spark that is warm; None: start one, configured for the number of events to count.
    """
    read_every_batch()
    check_agent_lists()
    versions, reconciliations = PostgresVersionStore(chosen.postgres_url), PostgresReconciliations(chosen.postgres_url)
    with closing(versions), closing(reconciliations), closing(open_log_ends(chosen.brokers, chosen.topic)) as log:
        check_hdfs(chosen.hdfs_url)
        check_clock(datetime.now(UTC), log.broker_time())
        if not versions.lock():
            raise AtWorkError
        with closing(PostgresLogGenerations(chosen.postgres_url, chosen.topic)) as generations:
            log.base = generations.checked(log.log_id()).base
        of_traffic = traffic_policies(chosen.postgres_url)
        refuse_unruled(chosen.traffic_ruled_from, of_traffic)
        rules = traffic_rules(of_traffic, chosen.keys.traits)
        current = versions.current()
        sizes = sizes_of_run(current, base=log.base, highwaters=log.highwaters())
        points, speed = chosen.failpoints, RedisSegmentStore.connect(chosen.redis_url, namespace=chosen.speed_namespace)
        spark = _session(chosen, session, sizes)
        url, record = chosen.postgres_url, points.on(reconciliations, Part.POSTGRES)
        yield RunPorts(
            log=log,
            speed=points.on(speed, Part.REDIS),
            versions=points.on(versions, Part.POSTGRES),
            reconcile=reconcile_ports(spark, versions, record, postgres_url=url, progress=progress),
            decisions=PostgresLateDecisions(url),
            traffic_decisions=PostgresGroupDecisions(url),
            warehouse=points.on(_warehouse(chosen, spark, log.base, rules), Part.SPARK),
            metrics=PrometheusBatchMetrics(chosen.metrics),
            progress=progress,
            clock=lambda: datetime.now(UTC),
            allowed_lateness=chosen.allowed_lateness,
        )


class RunSizes(NamedTuple):
    """How many events a run finds to count, and how many the current version has stored."""

    new_count: int
    stored_count: int


def sizes_of_run(current: PublishedVersion | None, *, base: int, highwaters: Sequence[int]) -> RunSizes:
    """Return the sizes by which a run is planned; `base` is where the log of this generation begins.

    A log that is shorter than what is counted has no new events; the cut refuses it by its name.
    """
    counted = current.offsets.ends if current else ()
    begins = (*(max(base, end) for end in counted), *(base for _ in highwaters[len(counted) :]))
    new_count = sum(max(0, end - begin) for begin, end in zip(begins, highwaters, strict=False))
    return RunSizes(new_count, current.row_counts.get(RAW_EVENTS, 0) if current else 0)


def _session(chosen: RunSettings, warm: "SparkSession | None", sizes: RunSizes) -> "SparkSession":
    # imported here, and below: pyspark and great-expectations take seconds, which `batch versions` need not wait
    from batch_layer.lake.spark_session import open_session, replan

    is_short, spark = sizes.new_count < SHORT_RUN_EVENTS_MAX, warm
    if spark is None:
        started = time.perf_counter()
        spark = open_session(replace(chosen.spark, is_short=is_short))
        report("spark", f"started in {time.perf_counter() - started:.1f} s")
    is_interpreted = sizes.new_count < INTERPRETED_EVENTS_MAX and sizes.stored_count < INTERPRETED_STORED_MAX
    return replan(spark, is_short=is_short, is_interpreted=is_interpreted, task_count=task_count(sizes))


def task_count(sizes: RunSizes) -> int:
    """Return how many tasks of a shuffle a run of these sizes is worth; at least one."""
    from batch_layer.lake.spark_kept import tasks_for

    return max(tasks_for(sizes.new_count), sizes.stored_count // STORED_EVENTS_PER_TASK)


def _warehouse(chosen: RunSettings, spark: "SparkSession", log_base: int, rules: TrafficRules) -> Warehouse:
    from batch_layer.archive.spark_archive import KafkaSource
    from batch_layer.gate import gx_gate
    from batch_layer.judging.spark_catalogue import SparkCatalogueFacts
    from batch_layer.run.spark_warehouse import SparkWarehouse

    return SparkWarehouse(
        spark,
        KafkaSource(spark, chosen.brokers, log_base),
        SparkCatalogueFacts(spark, chosen.postgres_url),
        staging=PostgresStaging(chosen.postgres_url),
        reports=chosen.reports,
        gate=gx_gate.judge,
        traffic_rules=rules,
        keys=chosen.keys,
        policies=counting_policies(chosen.postgres_url),
    )


def check_clock(now: datetime, broker_time: datetime) -> None:
    """Refuse to run with a wrong clock: no count depends on it, but the order of Iceberg's snapshots does.

    A snapshot from a clock that is ahead would keep the next runs from publishing until that time.
    """
    off_seconds = (now - broker_time).total_seconds()
    if abs(off_seconds) > CLOCK_SECONDS_MAX:
        side = "ahead of" if off_seconds > 0 else "behind"
        raise RefusedError(
            f"this machine's clock is {abs(off_seconds):.0f} s {side} the broker's; at most {CLOCK_SECONDS_MAX:.0f} s "
            "are allowed. Set it right; ./viewledger doctor compares both"
        )
