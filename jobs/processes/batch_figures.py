"""What the resident driver shows of itself: readiness, and figures for Prometheus."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from jobs.processes.batch_driver import Ended, RunOutcome


class BatchFigures:
    """Observes the driver. The figures of each run itself are in the file that every batch run writes."""

    def __init__(self, *, every_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self._obstacle: str | None = "Spark is starting"
        ProcessCollector(registry=self.registry)
        runs = Counter("batch_driver_runs", "Runs by outcome.", ["outcome"], registry=self.registry)
        self._runs = {each: runs.labels(each.value) for each in RunOutcome}
        last = Gauge(
            "batch_driver_last_outcome", "1 for the outcome of the last run.", ["outcome"], registry=self.registry
        )
        self._last = {each: last.labels(each.value) for each in RunOutcome}
        self._ended_at = self._gauge("last_run_timestamp_seconds", "When the last run ended.")
        self._seconds = self._gauge("last_run_seconds", "How long the last run took.")
        self._succeeded_at = self._gauge(
            "last_success_timestamp_seconds",
            "When a run last counted everything new without a difference; before the first, when the process started.",
        )
        self._succeeded_at.set(clock())
        self._gauge("interval_seconds", "The time from the start of a run to the start of the next.").set(every_seconds)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"batch_driver_{name}", text, registry=self.registry)

    def started(self) -> None:
        """Note that Spark is warm."""
        self._obstacle = None

    def ended(self, run: Ended) -> None:
        """Note a run that has ended."""
        now = self._clock()
        self._obstacle = run.text if run.outcome is RunOutcome.UNAVAILABLE else None
        self._runs[run.outcome].inc()
        for outcome, gauge in self._last.items():
            gauge.set(outcome is run.outcome)
        self._ended_at.set(now)
        self._seconds.set(run.seconds)
        if run.outcome.is_success:
            self._succeeded_at.set(now)

    def obstacle(self) -> str | None:
        """Return why no run can be done now: Spark is not there yet, or a server was away from the last one."""
        return self._obstacle

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
