"""What is known of a batch run while it is at work: its id in each log line, and its trace."""

import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

from batch_layer.run.ports import RunObserver
from batch_layer.run.run_result import RunResult
from ingestion.contract.version import PublishedVersion

if TYPE_CHECKING:
    from jobs.telemetry.tracing import OpenSpan, Tracing


class ObservedRuns:
    """Runs of one process, one after the other. Every run is traced, unless traces are off: there are few."""

    def __init__(self, tracing: "Tracing | None", fields: MutableMapping[str, object]) -> None:
        """Keep the id of the run at work in `fields`, which are in each log line."""
        self._tracing, self._fields = tracing, fields
        self._span: OpenSpan | None = None

    def do(self, run: Callable[[RunObserver], RunResult]) -> RunResult:
        """Do a run."""
        self._fields.clear()
        if self._tracing is None:
            return run(self)
        with self._tracing.span("batch run") as self._span:
            result = run(self)
            self._span.note({"state": result.state})
            return result

    def begun(self, run_id: str) -> None:
        """Note that a run has begun."""
        self._fields["run_id"] = run_id
        if self._span is not None:
            self._span.note({"run_id": run_id})

    def stage_ended(self, name: str, seconds: float) -> None:
        """Note that a stage of the run has just ended."""
        if self._tracing is not None and self._span is not None:
            now = time.time_ns()
            self._tracing.add(name, now - int(seconds * 1e9), now, parents=[self._span.context])

    def published(self, version: PublishedVersion) -> None:
        """Note that the run has published a version, which settles everything below its offsets."""
        if self._span is not None:
            self._span.note({"version": version.version, "offset_ends": version.offsets.ends})
