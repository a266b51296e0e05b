"""Reconcile: compare the whole flow for one published version and store the result. Publishes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from batch_layer.errors import DifferenceError, RefusedError
from batch_layer.reconciling.ports import ArchiveCheck, BilledViews, ChangeComparison, Comparison, ReconciliationStore
from batch_layer.reconciling.reconciliation import (
    DIFFERENCES_MAX,
    Days,
    Reconciliation,
    VersionChange,
    billed_differences,
)
from batch_layer.stages import Progress
from batch_layer.versions.ports import VersionStore
from ingestion.contract.printable import counted
from ingestion.contract.settled import BilledVideo
from ingestion.contract.version import PublishedVersion


@dataclass(frozen=True)
class ReconcilePorts:
    """Everything that a comparison uses."""

    versions: VersionStore
    reconciliations: ReconciliationStore
    archive: ArchiveCheck
    comparison: Comparison
    changes: ChangeComparison
    ledger: BilledViews
    progress: Progress


def reconcile_once(ports: ReconcilePorts, day: date | None, *, repair: bool = False) -> Reconciliation:
    """Compare archive = tables = served = billed for the current version; store the result.

    A difference stops publishing and billing until this finds none. `repair`: first make the tables show the version,
    without later additions, and note the groups under review as they are.

    Raises:
        RefusedError: nothing is published, or a batch run that could move the tables is at work.
        UnavailableError: a server does not answer; nothing was found or stored.
    """
    version = published(ports.versions)
    if repair:
        if not ports.versions.lock():
            raise RefusedError("a batch run is at work, and --repair needs the tables for itself; wait for it to end")
        moved = ports.archive.repair(version)
        with suppress(DifferenceError):  # the comparison names the file that cannot be read
            ports.comparison.note_groups(version)
        ports.progress("repair", f"{', '.join(moved) or 'no table'} did not show version {version.version}")
    days, compared = None if day is None else (day,), dict[str, int]()
    found = _differences(_steps(ports, version, days, compared))
    return _kept(ports, "command", Reconciliation(version.version, days, found, compared))


def reconcile_after_run(ports: ReconcilePorts) -> Reconciliation | None:
    """Compare what the versions changed that are not reconciled yet; store the result.

    Return None if there is no such version. A difference stops publishing and billing until a comparison of everything
    finds none. Reading everything after every run would take longer with every day; the command does that.

    Raises:
        UnavailableError: a server does not answer; nothing was found or stored, and the next run compares the versions.
    """
    version, waiting = ports.versions.current(), ports.reconciliations.unreconciled_versions()
    if version is None or not waiting:
        return None
    compared = dict[str, int]()
    change = VersionChange(ports.versions.version(waiting[0] - 1), version)
    found = _differences(_steps_of_change(ports, change, compared))
    return _kept(ports, "run", Reconciliation(version.version, None, found, compared))


def known_differences(
    reconciliations: ReconciliationStore, archive: ArchiveCheck, version: PublishedVersion | None, *, keep: bool
) -> tuple[str, ...]:
    """Return the differences that are still open, or if there are none, those of the archive's files now.

    `keep`: store the latter, so that they stay open.
    """
    still_open = tuple(each for found in reconciliations.open_differences() for each in found.differences)
    if still_open or version is None:
        return still_open
    found = Reconciliation(version.version, None, tuple(archive.differences(version)[:DIFFERENCES_MAX]))
    if keep and not found.is_equal:
        reconciliations.record("run", found)
    return found.differences


def never_reconciled(reconciliations: ReconciliationStore) -> tuple[str, ...]:
    """Return a sentence if published versions have not been compared yet: their runs ended before they could."""
    waiting = reconciliations.unreconciled_versions()
    if not waiting:
        return ()
    return (
        f"versions {waiting[0]} to {waiting[-1]} are not reconciled yet, for a batch run ended before it could; the "
        "next ./viewledger batch run, or ./viewledger reconcile, does it",
    )


def published(versions: VersionStore) -> PublishedVersion:
    """Return the current version; raise RefusedError before the first."""
    version = versions.current()
    if version is None:
        raise RefusedError("nothing is published yet; run `./viewledger batch run` first")
    return version


def _differences(steps: Iterator[list[str]]) -> tuple[str, ...]:
    differences: list[str] = []
    try:
        for found in steps:
            differences += found
    except DifferenceError as error:  # an unreadable file ends the comparison
        differences.append(str(error))
    return tuple(differences[:DIFFERENCES_MAX])


def _kept(ports: ReconcilePorts, kind: str, result: Reconciliation) -> Reconciliation:
    ports.reconciliations.record(kind, result)
    return result


def _steps_of_change(ports: ReconcilePorts, change: VersionChange, compared: dict[str, int]) -> Iterator[list[str]]:
    # The ledger was posted from older versions, which no run changes: the command compares it.
    # 1. Raw: the archived events against the records of their runs.
    compared["raw_events"], found = ports.changes.raw_events(change)
    ports.progress("raw", f"{counted(compared['raw_events'], 'event')} archived, {_text(found)}")
    yield found
    # 2. Batch: every archived event was judged once, and the tally has gained as many.
    found = ports.changes.events(change)
    ports.progress("batch", f"judged events and tally, {_text(found)}")
    yield found
    # 3. Served: what the videos have gained, by day, in total and as the API reads it.
    compared["videos"], found = ports.changes.videos(change)
    ports.progress("served", f"{counted(compared['videos'], 'video')} changed, {_text(found)}")
    yield found


def _steps(
    ports: ReconcilePorts, version: PublishedVersion, days: Days | None, compared: dict[str, int]
) -> Iterator[list[str]]:
    # 1. The files, by their status. A missing file makes the later steps unreadable.
    missing = ports.archive.differences(version)
    yield missing
    if missing:
        return
    # 2. Raw: every row of the archive against the records of the runs.
    compared["raw_events"], found = ports.comparison.raw_events(version, days)
    ports.progress("raw", f"{counted(compared['raw_events'], 'event')} in the archive, {_text(found)}")
    yield found
    # 3. Batch: every raw event was judged once, and the tally adds up.
    found = ports.comparison.events(version, days)
    ports.progress("batch", f"judged events and tally, {_text(found)}")
    yield found
    # 4. Served: the views of every video, from its events to the rows that the API reads.
    compared["videos"], found = ports.comparison.videos(version, days)
    ports.progress("served", f"{counted(compared['videos'], 'video')}, {_text(found)}")
    yield found
    # 5. Billed: the postings against the version that they were posted from.
    billed = ports.ledger.billed(days)
    compared["billed_videos"] = sum(each.video_id is not None for each in billed)
    found = _billed_differences(ports, billed)
    if days is None:  # all periods are checked together, so it takes longer with each of them
        found += ports.ledger.paid_twice()
    ports.progress("billed", f"{counted(compared['billed_videos'], 'video')} in the ledger, {_text(found)}")
    yield found


def _billed_differences(ports: ReconcilePorts, billed: Sequence[BilledVideo]) -> list[str]:
    billable = {}
    for number, start_on, end_on in {(each.version, each.start_on, each.end_on) for each in billed}:
        version = ports.versions.version(number)
        if version is None:
            return [f"the ledger was posted from version {number}, which was never published"]
        billable[number, start_on, end_on] = ports.comparison.billable_views(version, start_on, end_on)
    return billed_differences(billed, billable)


def _text(differences: list[str]) -> str:
    return counted(len(differences), "difference") if differences else "no difference"
