"""The compaction of a maintenance: parts of the tables in few files, published as a version with equal content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batch_layer.errors import DifferenceError
from batch_layer.maintaining.compaction import CompactionLimits, PartFiles, chosen
from batch_layer.maintaining.ports import Compaction
from batch_layer.maintaining.same_counts import archive_differences, finish_and_reconcile, in_other_files
from batch_layer.reconciling.reconcile import ReconcilePorts, known_differences
from batch_layer.stages import Stages
from batch_layer.versions.ports import StagedCounts
from ingestion.contract.printable import counted
from ingestion.contract.version import PublishedVersion


@dataclass(frozen=True)
class CompactionPorts:
    """Everything that a compaction uses."""

    tables: Compaction
    reconcile: ReconcilePorts
    limits: CompactionLimits
    clock: Callable[[], datetime]


@dataclass(frozen=True)
class CompactionResult:
    """What a compaction did."""

    version: PublishedVersion
    """The current version: the compacted one, or the base if nothing was to be compacted."""
    before: Sequence[PartFiles]
    after: Sequence[PartFiles]
    compacted: Sequence[PartFiles] = ()
    """The parts as they were before."""
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """The differences found when the version was reconciled; any stops publishing and billing."""


def compact(
    ports: CompactionPorts, stages: Stages, run_id: str, *, base: PublishedVersion, detail: Mapping[str, Any]
) -> CompactionResult:
    """Compact what lies in too many files, and publish it; `detail` goes to the run's entry in the journal.

    Raises:
        DifferenceError: the archive differs from the record, or what was written from what was there; nothing changed.
        UnavailableError: a server went away; unless the version is published, nothing changed.
    """
    # 1. The base is as its record says: a compaction must not give a changed file a new record.
    with stages.stage("files") as notes:
        before = ports.tables.files(base.snapshots)
        parts = chosen(before, ports.limits)
        notes.append(
            f"{counted(len(parts), 'day')} to compact, "
            f"with {counted(sum(each.debt for each in parts), 'file')} too many"
        )
        if not parts:
            return CompactionResult(base, before, before)
        known = known_differences(ports.reconcile.reconciliations, ports.reconcile.archive, base, keep=True)
        _refuse(known, "nothing is compacted until ./viewledger reconcile finds no difference")
    # 2. The rows are written again on a branch.
    with stages.stage("compact"):
        ports.tables.rewrite(run_id, base, parts)
    # 3. They are the same: by their hashes, and those of the archive by its record.
    with stages.stage("compare"):
        compacted = ports.tables.compare(run_id, base, parts)
        of_archive = archive_differences(ports.reconcile, compacted.archived, compacted.replaced, {})
        _refuse((*compacted.differences, *of_archive), "nothing was compacted")
    # 4. The version differs from its base in its files alone: it has the same offsets and changes no count.
    with stages.stage("publish") as notes:
        version = in_other_files(base, run_id, compacted.snapshots, ports.clock())
        ports.tables.tag(version.version, version.snapshots)
        published = {**detail, "judged_days": [], "compacted": [str(each) for each in parts]}
        versions = ports.reconcile.versions
        versions.publish(version, StagedCounts(), published, compacted.archived, compacted.replaced)
        notes.append(f"version {version.version}")
    notes_after, differences = finish_and_reconcile(ports.reconcile, stages, lambda: ports.tables.finish(version))
    return CompactionResult(version, before, compacted.files, parts, notes_after, differences)


def _refuse(differences: Sequence[str], outcome: str) -> None:
    if differences:
        raise DifferenceError(f"{differences[0]}; {outcome}")
