"""What a compaction and a removal share: each publishes a version that counts the same as its base, in other files."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

from batch_layer.archive.archive_files import ArchivedFile, by_place
from batch_layer.archive.removals import with_removed
from batch_layer.lake.content import Content, Place
from batch_layer.reconciling.reconcile import ReconcilePorts, reconcile_after_run
from batch_layer.reconciling.reconciliation import place_differences
from batch_layer.stages import Stages
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import PublishedVersion


def in_other_files(
    base: PublishedVersion, run_id: str, snapshots: Mapping[str, int], published_at: datetime
) -> PublishedVersion:
    """Return the version after `base`: at other snapshots, with the same offsets and counts."""
    return replace(
        base,
        version=base.version + 1,
        run_id=run_id,
        snapshots=snapshots,
        published_at=published_at,
        accepted_late=(),
        traffic_decisions=(),
    )


def archive_differences(
    ports: ReconcilePorts,
    archived: Mapping[str, ArchivedFile],
    replaced: Collection[str],
    removed: Mapping[Place, Content],
) -> list[str]:
    """Compare new files of raw events, with what was removed from them, with the record of those that they replace."""
    recorded = by_place(ports.reconciliations.recorded_hours(replaced))
    found = with_removed(by_place({path: each.hours for path, each in archived.items()}), removed)
    name = "the new files with what was removed" if removed else "the new files"
    return place_differences("the record of the archive", recorded, name, found)


def finish_and_reconcile(
    ports: ReconcilePorts, stages: Stages, finish: Callable[[], None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Move `main` and reconcile what was published; return notes and differences.

    The next run or maintenance does what a server that went away prevents here; a note says so.
    """
    notes: list[str] = []
    try:
        with stages.stage("finish"):
            finish()
    except UnavailableError as error:
        notes.append(f"main was not moved ({error}); the next run does it")
    try:
        with stages.stage("reconcile"):
            found = reconcile_after_run(ports)
    except UnavailableError as error:
        notes.append(f"what was published is not reconciled ({error}); the next run does it, and billing waits for it")
        found = None
    return tuple(notes), found.differences if found else ()
