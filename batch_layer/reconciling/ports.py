"""The ports of reconciling: the compared parts, the records, and the store of the results."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Protocol

from batch_layer.archive.archive_files import Hours, RecordedFile
from batch_layer.archive.removals import Removals
from batch_layer.reconciling.reconciliation import Days, Reconciliation, VersionChange
from ingestion.contract.settled import BilledVideo
from ingestion.contract.traffic_groups import TrafficGroup
from ingestion.contract.version import PublishedVersion


class NotedGroups(NamedTuple):
    """The groups that are noted as under review in a version, and its table of outcomes."""

    version: int
    content_hash: str
    snapshot: int | None
    """None: the version is no longer kept."""
    groups: frozenset[TrafficGroup]


class ReconciliationStore(Protocol):
    """Keeps the records of published versions, and the comparisons. Every call may raise UnavailableError."""

    def recorded_files(self, version: int) -> dict[str, RecordedFile]:
        """Return every archived file by its path, without those that a version before this one has replaced."""

    def recorded_hours(self, paths: Collection[str]) -> dict[str, Hours]:
        """Return the records of these files; a file without a record is absent."""

    def hours_until(self, version: int, days: Days | None) -> dict[str, Hours]:
        """Return the records of all files that a version's table has; of some days (UTC) if given."""

    def hours_between(self, after: int, until: int) -> dict[str, Hours]:
        """Return the records of the files that the versions in (after, until] archived, without compacted files."""

    def removals_until(self, version: int) -> Removals:
        """Return what this version and those before it have removed from the raw and the rejected events."""

    def judged_days(self, after: int, until: int) -> Days:
        """Return the event days that the versions in (after, until] judged, in order."""

    def noted_groups(self) -> NotedGroups | None:
        """Return the groups under review as runs have noted them; None if no run has yet."""

    def note_groups(self, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
        """Note the groups under review of a version as they are; `content_hash` is that of its outcomes."""

    def record(self, kind: str, found: Reconciliation) -> None:
        """Store the result of a comparison; `kind` is `run` or `command`."""

    def unreconciled_versions(self) -> Sequence[int]:
        """Return the versions after the newest one that a run, or a comparison of everything, has compared."""

    def open_differences(self) -> list[Reconciliation]:
        """Return the comparisons with differences that no later comparison has cleared, oldest first.

        A command's comparison without any difference clears those of the same day, or all if it compared all days.
        """


class ArchiveCheck(Protocol):
    """Compares the files of the archive with their records. May raise UnavailableError."""

    def differences(self, version: PublishedVersion) -> list[str]:
        """Return a sentence for each file of a version that is gone, changed, or was added after publication.

        Read the files' status, and the content only of those whose status differs from the record.
        """

    def repair(self, version: PublishedVersion) -> list[str]:
        """Make `main` of every table show a version, without later additions; return the tables changed."""


class Comparison(Protocol):
    """Compares one published version with the records and with itself, row by row or by order-free hashes.

    Every call returns sentences, may raise UnavailableError, and DifferenceError naming a file that cannot be read.
    A day is a UTC day; None compares everything.
    """

    def raw_events(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        """Compare the raw events with their records; return also the number of rows."""

    def events(self, version: PublishedVersion, days: Days | None) -> list[str]:
        """Compare the raw events with the judged and the rejected ones, and these with the tally."""

    def videos(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        """Compare every video's counts in all tables and as served; return also the number of videos with views."""

    def note_groups(self, version: PublishedVersion) -> None:
        """Let the store note the groups under review of the version as they are."""

    def billable_views(self, version: PublishedVersion, start_on: date, end_on: date) -> Mapping[str, int]:
        """Return the billable events of a period `[start, end)` by video."""


class ChangeComparison(Protocol):
    """Compares what versions changed with their record and with itself; reads what they touched and no history.

    That the former version agreed is the base of each comparison. In other respects like `Comparison`.
    """

    def raw_events(self, change: VersionChange) -> tuple[int, list[str]]:
        """Compare the archived raw events with their records; return also the number of rows."""

    def events(self, change: VersionChange) -> list[str]:
        """Compare the archived offsets with the judged and the rejected ones, and with what the tally has gained."""

    def videos(self, change: VersionChange) -> tuple[int, list[str]]:
        """Compare what the tables' counts and the served ones have gained; return also the number of changed videos."""


class BilledViews(Protocol):
    """Reads the views that the ledger was posted for. May raise UnavailableError."""

    def billed(self, days: Days | None) -> Sequence[BilledVideo]:
        """Return the billed views of each video by period and version; of the periods that contain one of the days."""

    def paid_twice(self) -> Sequence[str]:
        """Return a sentence for each video whose views the ledger pays more than once, across all periods."""
