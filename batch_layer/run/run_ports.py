"""Everything that a run, a rebuild and an upgrade use, and how a run is bounded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from batch_layer.archive.ports import LogEnds, SpeedCut
from batch_layer.judging.due_days import ALLOWED_LATENESS
from batch_layer.judging.ports import LateDecisions, TrafficDecisions
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.run.ports import Decided, RunMetrics, RunObserver, Unobserved, Warehouse
from batch_layer.stages import Progress, Stages
from batch_layer.versions.ports import VersionStore
from ingestion.contract.version import PublishedVersion

PART_OFFSETS = 10_000_000


@dataclass(frozen=True)
class RunPorts:
    """Everything a run uses."""

    log: LogEnds
    speed: SpeedCut
    versions: VersionStore
    reconcile: ReconcilePorts
    decisions: LateDecisions
    traffic_decisions: TrafficDecisions
    warehouse: Warehouse
    metrics: RunMetrics
    progress: Progress
    clock: Callable[[], datetime]
    part_offsets: int = PART_OFFSETS
    """A run archives and judges at most about as many offsets at once."""
    allowed_lateness: timedelta = ALLOWED_LATENESS
    """How long after the end of a day its events may arrive before its traffic is judged."""
    observer: RunObserver = field(default_factory=Unobserved)

    def stages(self, run_id: str) -> Stages:
        """Return the stages of a run that begins now."""
        self.observer.begun(run_id)
        return Stages(self.progress, self.observer.stage_ended)

    def decided_until(self, version: PublishedVersion | None) -> Decided:
        """Return what was decided and taken over by a version or those before it."""
        if version is None:
            return Decided()
        number = version.version
        return Decided(self.versions.accepted_until(number), self.versions.traffic_decided_until(number))
