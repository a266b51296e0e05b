"""The journal's side of what works on the tables alone: runs, rebuilds, upgrades and maintenance."""

from dataclasses import dataclass
from datetime import datetime

from batch_layer.run.run_result import new_run_id
from batch_layer.versions.ports import RunEntry, VersionStore


@dataclass(frozen=True)
class BegunRun:
    """A run that the journal knows, and those that never ended."""

    run_id: str
    crashed: tuple[str, ...]

    def end_crashed(self, versions: VersionStore) -> None:
        """Write that the runs before this one, of which no process is left, have failed."""
        for lost in self.crashed:
            versions.end(lost, "failed", {"error": "the process ended before the run did"})


def begin_run(versions: VersionStore, kind: str, started_at: datetime) -> BegunRun:
    """Write a new run into the journal; the lock is held, so every other one that is running crashed."""
    run_id = new_run_id(started_at)
    crashed = tuple(versions.runs_in("running"))
    versions.begin(RunEntry(run_id, kind, "running", None, started_at, None))
    return BegunRun(run_id, crashed)
