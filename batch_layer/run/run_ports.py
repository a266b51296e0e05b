"""Everything that a run, a rebuild and an upgrade use, and how a run is bounded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_layer.archive.ports import LogEnds, SpeedCut
from batch_layer.judging.due_days import ALLOWED_LATENESS
from batch_layer.judging.ports import LateDecisions
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.run.ports import RunMetrics, Warehouse
from batch_layer.stages import Progress
from batch_layer.versions.ports import VersionStore

PART_OFFSETS = 10_000_000


@dataclass(frozen=True)
class RunPorts:
    """Everything a run uses."""

    log: LogEnds
    speed: SpeedCut
    versions: VersionStore
    reconcile: ReconcilePorts
    decisions: LateDecisions
    warehouse: Warehouse
    metrics: RunMetrics
    progress: Progress
    clock: Callable[[], datetime]
    part_offsets: int = PART_OFFSETS
    """A run archives and judges at most about as many offsets at once."""
    allowed_lateness: timedelta = ALLOWED_LATENESS
    """How long after the end of a day its events may arrive before its traffic is judged."""
