"""Remove raw values and personal columns, after their time or of one viewer, as a version with the same counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from batch_layer.archive.removals import Removal
from batch_layer.errors import AtWorkError, BatchError, DifferenceError, RefusedError
from batch_layer.judging.due_days import open_days
from batch_layer.lake.content import Content
from batch_layer.lake.tables import RAW_EVENTS, VIEWERS
from batch_layer.maintaining.ports import ChosenRows, Erasure, RawNeeds, RemovalOrder, Removed, TableUpkeep
from batch_layer.maintaining.same_counts import archive_differences, finish_and_reconcile, in_other_files
from batch_layer.reconciling.reconcile import ReconcilePorts, known_differences, reconcile_after_run
from batch_layer.run.run_journal import begin_run
from batch_layer.stages import Progress, Stages
from batch_layer.versions.ports import StagedCounts
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import PublishedVersion

DAYS_AT_ONCE = 31
"""A retention removes at most as many days; the next maintenance goes on."""
_ONE = timedelta(days=1)
UNKNOWN_VIEWER = "no event of this viewer is kept: the name is wrong, or all events of it were removed already"


@dataclass(frozen=True)
class ErasurePorts:
    """Everything that a removal uses."""

    tables: Erasure
    upkeep: TableUpkeep
    needs: RawNeeds
    reconcile: ReconcilePorts
    progress: Progress
    clock: Callable[[], datetime]
    grace: timedelta
    """The time after which the files of removed rows are deleted: a reader that began before it finishes."""
    retention: timedelta
    """Raw values and personal columns are kept for this time."""
    allowed_lateness: timedelta
    """As for a run: by it the last instant follows at which a day is judged."""


@dataclass(frozen=True)
class ErasureResult:
    """What a removal did."""

    version: int
    """The current version."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Table → rows that were removed."""
    before: date | None = None
    """Everything received before this day (UTC) was removed, if a retention removed it."""
    files_gone_after: datetime | None = None
    """The first maintenance after this instant deletes the files that hold the rows; None: nothing was removed."""
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """The differences found when the version was reconciled; any stops publishing and billing."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)


def retain_once(ports: ErasurePorts) -> ErasureResult:
    """Remove what was received longer ago than the retention, unless money that is not final needs it.

    Raises: see `erase_once`.
    """
    current = _current(ports)
    oldest = ports.tables.oldest_received(current)
    wanted = ports.clock().date() - ports.retention
    if oldest is None or oldest >= wanted:
        return ErasureResult(current.version)
    needed, notes = _needed_from(ports, current), list[str]()
    before = min(wanted, oldest + timedelta(days=DAYS_AT_ONCE))
    if needed is not None and needed[0] - timedelta(days=1) < before:
        # an event of a day may have been received on the evening before, by another clock
        before = needed[0] - timedelta(days=1)
        notes.append(
            f"raw data received from {max(before, oldest)} on is kept beyond the retention of {ports.retention.days} "
            f"days, for {needed[1]}: {needed[0]}"
        )
    if oldest >= before:
        return ErasureResult(current.version, notes=tuple(notes))
    order = RemovalOrder("retention", f"kept for {ports.retention.days} days", before=before)
    result = erase_once(ports, order)
    return replace(result, notes=(*notes, *result.notes))


def erase_once(ports: ErasurePorts, order: RemovalOrder) -> ErasureResult:
    """Remove what an order names, and publish it as a version with the same offsets and counts.

    Raises:
        RefusedError: a run is at work, nothing is published, or no row of the viewer is kept.
        DifferenceError: the archive differs from the record, or what was written from what was there; nothing changed.
        UnavailableError: a server went away; unless the version is published, nothing changed.
    """
    current = _current(ports)
    versions = ports.reconcile.versions
    begun = begin_run(versions, "maintenance", ports.clock())
    stages = Stages(ports.progress)
    try:
        with stages.stage("prepare"):
            ports.upkeep.repair(current, versions.runs_in("gate_failed"))
            begun.end_crashed(versions)
        result = _steps(ports, stages, begun.run_id, current, order)
    except (BatchError, UnavailableError) as error:
        versions.end(begun.run_id, "failed", {"error": str(error), "stage_seconds": stages.in_order()})
        raise
    versions.end(begun.run_id, "done", {"stage_seconds": stages.in_order()})
    return result


def _current(ports: ErasurePorts) -> PublishedVersion:
    if not ports.reconcile.versions.lock():
        raise AtWorkError
    current = ports.reconcile.versions.current()
    if current is None:
        raise RefusedError("nothing is published yet, so there is nothing to remove; run `./viewledger batch run`")
    return current


def _steps(
    ports: ErasurePorts, stages: Stages, run_id: str, base: PublishedVersion, order: RemovalOrder
) -> ErasureResult:
    # 1. The base is as its record says, and reconciled: a removal must not hide that a row is missing already.
    with stages.stage("record"):
        found = reconcile_after_run(ports.reconcile)
        _refuse(found.differences if found else ())
        _refuse(known_differences(ports.reconcile.reconciliations, ports.reconcile.archive, base, keep=True))
    # 2. The places in the log of what is to be removed.
    with stages.stage("choose") as notes:
        chosen = ports.tables.choose(base, order)
        notes.append(f"{counted(len(chosen.parts), 'day')} of the tables")
        if not chosen.parts and order.viewer is not None:
            raise RefusedError(UNKNOWN_VIEWER)
        if order.viewer is not None:
            _refuse_open_days(open_days(base.day_rules, ports.allowed_lateness), chosen)
    # 3. The rest of the rows is written on a branch, and compared with the base less what is to be removed.
    with stages.stage("remove"):
        ports.tables.remove(run_id, base, chosen)
    with stages.stage("compare") as notes:
        removed = ports.tables.read_back(run_id, base, chosen)
        of_raw = {place: each.rows for place, each in removed.removed.get(RAW_EVENTS, {}).items()}
        of_archive = archive_differences(ports.reconcile, removed.archived, removed.replaced, of_raw)
        _refuse((*removed.differences, *of_archive))
        notes.append(
            ", ".join(f"{counted(each.row_count, 'row')} of {name}" for name, each in removed.contents.items())
        )
    # 4. The version holds fewer raw values, and counts the same. What left is recorded in its transaction.
    with stages.stage("publish") as notes:
        version = _version(ports, run_id, base, removed)
        ports.tables.tag_removal(version.version, version.snapshots)
        rows = {name: each.row_count for name, each in removed.contents.items()}
        ports.reconcile.versions.publish(
            version,
            StagedCounts(),
            {"judged_days": [], "removed": rows},
            removed.archived,
            removed.replaced,
            Removal(order.actor, order.reason, order.before, removed.removed),
            forgotten=order.viewer,
        )
        notes.append(f"version {version.version}")
    gone_after = ports.clock() + ports.grace
    # 5. `main` moves, and what still names the rows is dropped.
    notes_after, differences = finish_and_reconcile(
        ports.reconcile, stages, lambda: ports.tables.finish_removal(version)
    )
    return ErasureResult(
        version.version, rows, order.before, gone_after, notes_after, differences, stage_seconds=stages.seconds
    )


def _needed_from(ports: ErasurePorts, version: PublishedVersion) -> tuple[date, str] | None:
    """Return the first day whose raw events are needed, and why."""
    traffic = [
        (day - _ONE, f"the traffic of {day} is judged once more")
        for day in open_days(version.day_rules, ports.allowed_lateness)
    ]
    money = ports.needs.needed_from()
    return min(traffic + ([money] if money else []), default=None)


def _refuse_open_days(open_until: Mapping[date, datetime], chosen: ChosenRows) -> None:
    """Raise RefusedError if the rules of a day would miss what is removed: a robot's views would be counted again."""
    of_viewer = {each.day for each in chosen.parts if each.table == VIEWERS and each.day is not None}
    still = {day: until for day, until in open_until.items() if of_viewer & {day, day - _ONE}}
    if still:
        raise RefusedError(
            f"the traffic of {min(still)} is judged once more by what this viewer sent; nothing was removed, give the "
            f"command again after a batch run that settles {max(still.values()):%Y-%m-%d %H:%M} UTC"
        )


def _version(ports: ErasurePorts, run_id: str, base: PublishedVersion, removed: Removed) -> PublishedVersion:
    """Return the base without the removed rows: what it holds less is computed from its own hashes."""
    left = {
        name: Content.parse(base.row_counts[name], base.content_hashes[name]) - gone
        for name, gone in removed.contents.items()
    }
    return replace(
        in_other_files(base, run_id, removed.snapshots, ports.clock()),
        row_counts={**base.row_counts, **{name: each.row_count for name, each in left.items()}},
        content_hashes={**base.content_hashes, **{name: each.text for name, each in left.items()}},
    )


def _refuse(differences: Sequence[str]) -> None:
    if differences:
        raise DifferenceError(f"{differences[0]}; nothing was removed")
