"""The compaction of a maintenance: parts of the tables in few files, published as a version with equal content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from batch_layer.archive.archive_files import by_place
from batch_layer.errors import DifferenceError
from batch_layer.maintaining.compaction import CompactionLimits, PartFiles, chosen
from batch_layer.maintaining.ports import Compacted, Compaction
from batch_layer.reconciling.reconcile import ReconcilePorts, known_differences, reconcile_after_run
from batch_layer.reconciling.reconciliation import place_differences
from batch_layer.stages import Stages
from batch_layer.versions.ports import StagedCounts
from ingestion.contract.unavailable import UnavailableError
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
        notes.append(f"{len(parts):,} days to compact, with {sum(each.debt for each in parts):,} files too many")
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
        _refuse((*compacted.differences, *_archive_differences(ports, compacted)), "nothing was compacted")
    # 4. The version differs from its base in its files alone: it has the same offsets and changes no count.
    with stages.stage("publish") as notes:
        version = replace(
            base,
            version=base.version + 1,
            run_id=run_id,
            snapshots=compacted.snapshots,
            published_at=ports.clock(),
            accepted_late=(),
        )
        ports.tables.tag(version.version, version.snapshots)
        published = {**detail, "judged_days": [], "compacted": [str(each) for each in parts]}
        versions = ports.reconcile.versions
        versions.publish(version, StagedCounts(), published, compacted.archived, compacted.replaced)
        notes.append(f"version {version.version}")
    result = CompactionResult(version, before, compacted.files, parts)
    return _finished(ports, stages, result)


def _archive_differences(ports: CompactionPorts, compacted: Compacted) -> list[str]:
    """Compare the new files of raw events with the record of those that they replace."""
    recorded = ports.reconcile.reconciliations.recorded_hours(compacted.replaced)
    found = {path: each.hours for path, each in compacted.archived.items()}
    return place_differences("the record of the archive", by_place(recorded), "the new files", by_place(found))


def _refuse(differences: Sequence[str], outcome: str) -> None:
    if differences:
        raise DifferenceError(f"{differences[0]}; {outcome}")


def _finished(ports: CompactionPorts, stages: Stages, result: CompactionResult) -> CompactionResult:
    """Move `main` and reconcile; the next run or maintenance does what fails here."""
    try:
        with stages.stage("finish"):
            ports.tables.finish(result.version)
    except UnavailableError as error:
        result = replace(result, notes=(f"main was not moved ({error}); the next run does it",))
    try:
        with stages.stage("reconcile"):
            found = reconcile_after_run(ports.reconcile)
    except UnavailableError as error:
        note = f"the compacted version is not reconciled ({error}); the next run does it, and billing waits for it"
        return replace(result, notes=(*result.notes, note))
    return replace(result, differences=found.differences if found else ())
