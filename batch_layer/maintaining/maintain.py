"""Maintenance: one journalled procedure whose steps can be repeated, so the next one finishes what was begun."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from batch_layer.errors import AtWorkError, BatchError, RefusedError
from batch_layer.lake.tables import RAW_EVENTS
from batch_layer.maintaining.compact import CompactionPorts, CompactionResult, compact
from batch_layer.maintaining.compaction import TableFiles, by_table, oldest_day
from batch_layer.maintaining.erase import ErasurePorts
from batch_layer.maintaining.ports import Expiry, MaintenanceMetrics, TableUpkeep
from batch_layer.run.run_journal import begin_run
from batch_layer.stages import Progress, Stages
from batch_layer.versions.ports import VersionStore
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import PublishedVersion

ORPHAN_AGE = timedelta(days=3)
"""A file without a snapshot stays for this time: it may belong to a run whose commit is under way."""


@dataclass(frozen=True)
class MaintenancePorts:
    """Everything that maintenance uses."""

    versions: VersionStore
    expiry: Expiry
    tables: TableUpkeep
    compaction: CompactionPorts
    erasure: ErasurePorts
    metrics: MaintenanceMetrics
    progress: Progress
    clock: Callable[[], datetime]
    grace: timedelta
    """The time from the expiry of a version to the removal of what it held: a reader that began before it finishes."""


@dataclass(frozen=True)
class MaintenanceResult:
    """What a maintenance did."""

    run_id: str
    version: int
    """The current version."""
    expired: tuple[int, ...] = ()
    """The versions that expired now."""
    dropped_tag_count: int = 0
    removed_file_count: int = 0
    orphan_count: int = 0
    rolled_up_count: int = 0
    """Kept versions before which counts of expired ones were joined."""
    compacted: tuple[str, ...] = ()
    """The days, or whole tables, that were written into few files."""
    files_before: Mapping[str, TableFiles] = field(default_factory=dict)
    """Table → its files before the compaction, and after it."""
    files_after: Mapping[str, TableFiles] = field(default_factory=dict)
    oldest_raw_on: date | None = None
    """The day (UTC) on which the oldest raw event that is kept was received."""
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """The differences found when the compacted version was reconciled; any stops publishing and billing."""
    stage_seconds: dict[str, float] = field(default_factory=dict)


def maintain_once(ports: MaintenancePorts) -> MaintenanceResult:
    """Do one maintenance.

    Raises:
        RefusedError: a batch run is at work, or nothing is published.
        DifferenceError: the archive differs from its record, so nothing was compacted.
        UnavailableError: a server went away; what was done stays done, and a retry does the rest.
    """
    if not ports.versions.lock():
        raise AtWorkError
    current = ports.versions.current()
    if current is None:
        raise RefusedError("nothing is published yet, so there is nothing to maintain; run `./viewledger batch run`")
    begun = begin_run(ports.versions, "maintenance", ports.clock())
    run_id = begun.run_id
    stages = Stages(ports.progress)
    try:
        with stages.stage("prepare") as notes:
            repaired = ports.tables.repair(current, ports.versions.runs_in("gate_failed"))
            begun.end_crashed(ports.versions)
            notes.extend([f"main repaired in {', '.join(repaired)}"] if repaired else [])
        result = _steps(ports, stages, run_id, current)
        # 6. Compaction comes last: expired versions have left room for it.
        detail = _detail(result, stages)
        result = _with_compaction(result, compact(ports.compaction, stages, run_id, base=current, detail=detail), ports)
    except (BatchError, UnavailableError) as error:
        ports.versions.end(run_id, "failed", {"error": str(error), "stage_seconds": stages.in_order()})
        raise
    ports.versions.end(run_id, "done", _detail(result, stages))
    ports.metrics.record(
        ports.expiry.upkeep(), ports.tables.snapshot_counts(), result.files_after, result.oldest_raw_on
    )
    return result


def _detail(result: MaintenanceResult, stages: Stages) -> dict[str, object]:
    """Return what the journal keeps. A published run has ended: what comes after that is in the result alone."""
    return {
        "expired": list(result.expired),
        "dropped_tags": result.dropped_tag_count,
        "removed_files": result.removed_file_count,
        "orphans": result.orphan_count,
        "rolled_up": result.rolled_up_count,
        "stage_seconds": stages.in_order(),
    }


def _with_compaction(
    result: MaintenanceResult, compacted: CompactionResult, ports: MaintenancePorts
) -> MaintenanceResult:
    limits = ports.compaction.limits
    return replace(
        result,
        version=compacted.version.version,
        compacted=tuple(str(each) for each in compacted.compacted),
        files_before=by_table(compacted.before, limits),
        files_after=by_table(compacted.after, limits),
        oldest_raw_on=oldest_day(compacted.after, RAW_EVENTS),
        notes=compacted.notes,
        differences=compacted.differences,
    )


def _steps(ports: MaintenancePorts, stages: Stages, run_id: str, current: PublishedVersion) -> MaintenanceResult:
    # 1. The record comes first: readers of an expired version are refused before anything of it is missing.
    with stages.stage("expire") as notes:
        expired = ports.expiry.expire(run_id)
        notes.append(counted(len(expired), "version"))
    # 2. What versions held is removed when those who still read it have finished.
    before = ports.clock() - ports.grace
    with stages.stage("tags") as notes:
        tag_count = ports.tables.drop_tags(ports.expiry.expired(before), ports.expiry.current_at(before))
        notes.append(f"{tag_count:,} removed")
    # 3. Iceberg keeps what any branch or tag needs, and removes the rest with its files.
    with stages.stage("snapshots") as notes:
        file_count = ports.tables.expire_snapshots(before)
        notes.append(f"{counted(file_count, 'file')} removed")
    # 4. Files of runs that were killed before their commit belong to no snapshot.
    with stages.stage("orphans") as notes:
        orphan_count = ports.tables.remove_orphans(ports.clock() - max(ORPHAN_AGE, ports.grace))
        notes.append(f"{counted(orphan_count, 'file')} removed")
    # 5. Counts of expired versions are joined before the next kept one, one transaction for each kept version.
    with stages.stage("counts") as notes:
        rolled_up_count = 0
        while ports.expiry.roll_up_next(before) is not None:
            rolled_up_count += 1
        notes.append(f"joined before {counted(rolled_up_count, 'version')}")
    return MaintenanceResult(
        run_id=run_id,
        version=current.version,
        expired=tuple(expired),
        dropped_tag_count=tag_count,
        removed_file_count=file_count,
        orphan_count=orphan_count,
        rolled_up_count=rolled_up_count,
        stage_seconds=stages.seconds,
    )
