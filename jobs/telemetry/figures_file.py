"""Metrics of ended processes, which cannot be scraped: text files for the node exporter's textfile collector."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

METRICS_FOLDER = "metrics"
"""Below VIEWLEDGER_STATE_DIR; one file for each command."""


@dataclass(frozen=True)
class Figure:
    """One sample of a gauge."""

    name: str
    text: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def write_figures(path: Path, figures: Sequence[Figure]) -> None:
    """Replace the file as a whole."""
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for each in figures:
        if each.name not in gauges:
            gauges[each.name] = Gauge(each.name, each.text, list(each.labels), registry=registry)
        gauge = gauges[each.name]
        (gauge.labels(**each.labels) if each.labels else gauge).set(each.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)


@contextmanager
def recorded_check(
    state: Path, check: str, difference: type[Exception], *, clock: Callable[[], float] = time.time
) -> Iterator[None]:
    """Record whether a comparison found that numbers differ which must agree; nothing for another error."""
    try:
        yield
    except difference:
        _record_check(state, check, clock(), differs=True)
        raise
    _record_check(state, check, clock(), differs=False)


def _record_check(state: Path, check: str, ended_at: float, *, differs: bool) -> None:
    labels = {"check": check}
    figures = [
        Figure("viewledger_check_differs", "Whether the last comparison found a difference", float(differs), labels),
        Figure("viewledger_check_last_run_timestamp_seconds", "When the last comparison ended", ended_at, labels),
    ]
    write_figures(state / METRICS_FOLDER / f"check-{check}.prom", figures)


def record_halt(state: Path, reason: str, *, clock: Callable[[], float] = time.time) -> None:
    """Record that the speed process halted by itself; it ends at once, and its own metrics with it."""
    figure = Figure(
        "viewledger_speed_last_halt_timestamp_seconds", "When a speed process halted last", clock(), {"reason": reason}
    )
    write_figures(state / METRICS_FOLDER / "speed-halt.prom", [figure])


def record_reconciled(state: Path, *, differences: int, unreconciled_versions: int) -> None:
    """Record how many differences stop publishing and billing now, and how many versions wait to be compared."""
    figures = [
        Figure("viewledger_open_differences", "Differences that stop publishing and billing", differences),
        Figure("viewledger_unreconciled_versions", "Versions that are not compared yet", unreconciled_versions),
    ]
    write_figures(state / METRICS_FOLDER / "open-differences.prom", figures)


def record_repeated_ids(state: Path, count: int) -> None:
    """Record how many ids the last audit found counted more than once."""
    figure = Figure("viewledger_repeated_ids", "Ids that are counted more than once", count)
    write_figures(state / METRICS_FOLDER / "audit-ids.prom", [figure])


def record_backup(state: Path, begun_at: datetime) -> None:
    """Record that a backup is whole, which holds everything that was there when it began."""
    figure = Figure(
        "viewledger_backup_last_timestamp_seconds", "When the newest whole backup began", begun_at.timestamp()
    )
    write_figures(state / METRICS_FOLDER / "backup.prom", [figure])
