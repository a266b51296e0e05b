"""Checks of the work itself: does the collector answer, how far is the speed layer, what did batch and billing do."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psycopg2

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.versions.postgres_log_generations import PostgresLogGenerations
from ingestion.contract.printable import counted
from jobs.checkup.checks import CheckRow, bad, ok, warn
from jobs.checkup.kafka_access import check_answer
from jobs.checkup.servers import rows_of
from jobs.local_stack.http_probe import http_is_ready
from jobs.local_stack.ports import is_open
from jobs.settings import PostgresConnection, RedisConnection
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.listening import COLLECTOR_PORT
from jobs.settings.declared.servers import SPEED_NAMESPACE, TOPIC_VIDEO_VIEWS
from speed_layer.redis_segment_store import RedisSegmentStore

STALE_SECONDS = 10.0
"""A speed process that works notes every second up to where a partition is counted."""
LAG_OFFSETS = 10_000
"""As the alert SpeedLayerLagging has it, over all partitions."""
BATCH_OVERDUE_SECONDS = 2 * 3600
"""As the alert BatchRunOverdue has it."""
UP = "./viewledger up starts one, and ./viewledger restart speed ends one that hangs"


class PartitionState(StrEnum):
    """Whether a partition is counted."""

    COUNTED = "counted"
    REPAIRING = "repairing"
    BEHIND = "behind"


@dataclass(frozen=True)
class PartitionProgress:
    """How far the speed layer has counted one partition."""

    partition: int
    lag: int | None
    """Offsets on the log that are not counted; None if no process has begun the partition."""
    covered_ago_seconds: float | None
    """How long ago everything on the log was counted; None if that is unknown."""
    repairing: bool = False

    @property
    def is_current(self) -> bool:
        """Return whether everything that was on the log some seconds ago is counted."""
        return self.covered_ago_seconds is not None and self.covered_ago_seconds <= STALE_SECONDS

    @property
    def state(self) -> PartitionState:
        """Return the state in one word."""
        if self.is_current:
            return PartitionState.COUNTED
        return PartitionState.REPAIRING if self.repairing else PartitionState.BEHIND


def pipeline_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Return every check of the work itself."""
    return rows_of(
        {"collector": collector_rows, "speed": speed_rows, "batch": batch_rows, "billing": billing_rows}, environ
    )


def collector_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check the collector of this machine."""
    port = COLLECTOR_PORT.read(environ)
    if not is_open(port):
        found = f"none listens on port {port} of this machine"
        return [warn("collector", found, "./viewledger up starts one; on other machines ask its /readyz there")]
    if not http_is_ready(port):
        remedy = "./viewledger logs collector shows why; ./viewledger restart collector ends one that hangs"
        return [bad("collector", f"port {port} is open, and /readyz does not answer 200 within two seconds", remedy)]
    return [ok("collector", f"takes events on port {port}")]


def speed_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check that every partition is counted up to the end of the log; a process that hangs is found by its silence."""
    return [speed_row(partition_progress(environ))]


def partition_progress(environ: Mapping[str, str]) -> list[PartitionProgress]:
    """Return how far each partition is counted, from Kafka and Redis and no process of ours."""
    topic = TOPIC_VIDEO_VIEWS.read(environ)
    brokers = read_brokers(environ)
    check_answer(brokers)
    url = PostgresConnection.from_environ(environ).url
    store = RedisSegmentStore.connect(
        RedisConnection.from_environ(environ).url, namespace=SPEED_NAMESPACE.read(environ)
    )
    with (
        closing(store),
        closing(PostgresLogGenerations(url, topic)) as generations,
        closing(KafkaLogEnds(brokers, topic)) as log,
    ):
        known = generations.newest()
        log.base = known.base if known else 0
        # Redis before Kafka: what arrives in between is counted as lag, and none is hidden
        readings = store.look(dict.fromkeys(range(log.partition_count()), 0))
        ends = log.highwaters()
    return [
        PartitionProgress(partition, None, None)
        if reading is None
        else PartitionProgress(
            partition,
            max(0, ends[partition] - reading.position),
            None if reading.covered_ago_ms is None else reading.covered_ago_ms / 1000,
            repairing=reading.replay_until is not None and reading.position < reading.replay_until,
        )
        for partition, reading in readings.items()
    ]


def speed_row(partitions: Sequence[PartitionProgress]) -> CheckRow:
    """Return the row of the speed layer: what all partitions lack, and the one that is the longest behind."""
    lag = sum(each.lag or 0 for each in partitions)
    begun = [each for each in partitions if each.lag is not None]
    if not begun:
        return warn("speed", "no partition is counted yet", UP)
    late = [each for each in partitions if not each.is_current]
    if not late:
        text = f"{counted(len(partitions), 'partition')} counted, {counted(lag, 'event')} behind the log"
        return ok("speed", text) if lag <= LAG_OFFSETS else warn("speed", text, "wait, or start a second process")
    worst = max(late, key=lambda each: (each.covered_ago_seconds is None, each.covered_ago_seconds or 0.0))
    since = _ago(worst.covered_ago_seconds) if worst.covered_ago_seconds is not None else "at no time that is known"
    found = (
        f"{len(late)} of {len(partitions)} partitions are behind, by {counted(lag, 'event')}; partition "
        f"{worst.partition} was "
        f"counted completely {since}"
    )
    if any(each.repairing for each in late):
        return warn("speed", f"{found}; a repair is at work", "wait until it has caught up")
    return bad("speed", found, f"./viewledger logs speed shows what it does; {UP}")


def batch_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check the last batch run that has ended."""
    query = (
        "SELECT run_id, state, version, ended_at, coalesce(detail ->> 'error', detail -> 'failures' ->> 0) "
        "FROM published.runs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1"
    )
    found = _first_row(environ, query)
    if found is None:
        return [ok("batch", "no run has ended yet; ./viewledger batch run does one")]
    run_id, state, version, ended_at, why = found
    age = (datetime.now(UTC) - ended_at).total_seconds()
    text = f"run {run_id} ended {_ago(age)}: {state.replace('_', ' ')}{f' as version {version}' if version else ''}"
    if state in ("failed", "gate_failed"):
        return [bad("batch", f"{text}: {why}" if why else text, "./viewledger batch runs shows it with its report")]
    if age > BATCH_OVERDUE_SECONDS:
        return [warn("batch", text, "./viewledger batch run; settled counts stand still until then")]
    return [ok("batch", text)]


def billing_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Show the last period that was billed."""
    query = (
        "SELECT kind, period_start_on, period_end_on, actor, started_at FROM billing.runs "
        "ORDER BY started_at DESC LIMIT 1"
    )
    found = _first_row(environ, query)
    if found is None:
        return [ok("billing", "no period is billed yet")]
    kind, start_on, end_on, actor, at = found
    what = "billed" if kind == "bill" else "restated"
    age = (datetime.now(UTC) - at).total_seconds()
    return [ok("billing", f"{start_on} to {end_on} (exclusive) was {what} by {actor} {_ago(age)}")]


def _first_row(environ: Mapping[str, str], query: str) -> tuple[Any, ...] | None:
    url = PostgresConnection.from_environ(environ).url
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def _ago(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"
