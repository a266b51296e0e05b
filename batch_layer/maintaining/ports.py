"""The ports of maintenance: the record of expired versions, the tables behind versions, their compaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.removals import RemovedPlaces
from batch_layer.lake.content import Content
from batch_layer.maintaining.compaction import PartFiles, TableFiles
from ingestion.contract.version import PublishedVersion


@dataclass(frozen=True)
class Upkeep:
    """What has piled up and what remains of it: the figures for monitoring."""

    kept_count: int
    """Versions that are kept, the current one included."""
    expirable_count: int
    """Versions that the rule no longer keeps and that have not expired."""
    oldest_expirable_at: datetime | None
    """When the oldest of them was published."""


class Expiry(Protocol):
    """The record of expired versions. Every call may raise UnavailableError."""

    def expire(self, run_id: str) -> Sequence[int]:
        """Expire every version that the rule no longer keeps, in one transaction; return their numbers.

        From then on they cannot be read, and what they held may be removed.
        """

    def expired(self, before: datetime) -> Sequence[int]:
        """Return the numbers of all versions that expired before an instant."""

    def current_at(self, instant: datetime) -> int:
        """Return the newest version that was published before an instant; 0 if none was."""

    def roll_up_next(self, before: datetime) -> int | None:
        """Join the served counts and day changes of versions that expired before an instant, up to a kept version.

        Return the kept version; None when nothing is left to join. What every kept version answers stays the same.
        """

    def upkeep(self) -> Upkeep:
        """Return the figures as they are now."""


class TableUpkeep(Protocol):
    """The batch tables as maintenance sees them. Every call may raise UnavailableError."""

    def repair(self, current: PublishedVersion, kept_runs: Collection[str]) -> list[str]:
        """Make `main` show the current version and drop the branches of all runs but `kept_runs`.

        Return the tables whose `main` was wrong. Raises RefusedError for tables of an earlier release.
        """

    def drop_tags(self, versions: Collection[int], superseded_by: int) -> int:
        """Remove the tags of these versions from every table; return how many there were.

        From the tables that are erased, remove also those of all versions before `superseded_by`.
        """

    def expire_snapshots(self, before: datetime) -> int:
        """Remove the snapshots older than an instant that no branch or tag needs, with their files.

        Return the number of files removed.
        """

    def remove_orphans(self, before: datetime) -> int:
        """Remove files older than an instant that no snapshot names; return how many."""

    def snapshot_counts(self) -> Mapping[str, int]:
        """Return the number of snapshots of each table."""


@dataclass(frozen=True)
class Compacted:
    """What a compaction wrote on its branch, read back."""

    snapshots: Mapping[str, int]
    archived: Mapping[str, ArchivedFile]
    """The new files of raw events."""
    replaced: Collection[str]
    """The files of raw events whose rows are now in the new ones."""
    files: Sequence[PartFiles]
    differences: Sequence[str]
    """What is other than before, and must be equal."""


class Compaction(Protocol):
    """Writes parts of the tables again, on a branch of its own. Every call may raise UnavailableError."""

    def files(self, snapshots: Mapping[str, int]) -> Sequence[PartFiles]:
        """Return the files of every part of the tables at these snapshots."""

    def rewrite(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> None:
        """Write the rows of parts of the base into few sorted files on the run's branch, without what was deleted."""

    def compare(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> Compacted:
        """Read back what `rewrite` wrote, and compare it with the base."""

    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """Name the snapshots after the version, so that they are kept."""

    def finish(self, version: PublishedVersion) -> None:
        """Make `main` show the published version and drop the run's branch."""


@dataclass(frozen=True)
class RemovalOrder:
    """Whose order it is, why, and what is to be removed: everything received before a day, or one viewer's events."""

    actor: str
    reason: str
    before: date | None = None
    """A day (UTC)."""
    viewer: str | None = None
    """As the events name the viewer."""


@dataclass(frozen=True)
class ChosenRows:
    """The rows that an order removes."""

    parts: Sequence[PartFiles]
    """The parts of the tables that have some of them; empty if no table does."""
    engine: Any = field(repr=False, compare=False, default=None)
    """The engine's own state."""


@dataclass(frozen=True)
class Removed:
    """What a removal wrote on its branch, read back."""

    snapshots: Mapping[str, int]
    archived: Mapping[str, ArchivedFile]
    """The new files of raw events."""
    replaced: Collection[str]
    """The files of raw events whose rows are now in the new ones, or were removed."""
    removed: RemovedPlaces
    contents: Mapping[str, Content]
    """Table → all rows that were removed from it."""
    differences: Sequence[str]
    """What is other than before, and must be equal."""


class Erasure(Protocol):
    """Removes rows of the tables that hold what persons sent. Every call may raise UnavailableError."""

    def oldest_received(self, base: PublishedVersion) -> date | None:
        """Return the day (UTC) on which the oldest raw event of the base was received; None if it has none."""

    def choose(self, base: PublishedVersion, order: RemovalOrder) -> ChosenRows:
        """Return the rows of the base that an order removes."""

    def remove(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> None:
        """Write the parts of the base again on the run's branch, without the chosen rows.

        All other branches of these tables are dropped, so that none names a removed row.
        """

    def read_back(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> Removed:
        """Read back what `remove` wrote, and compare it with the base less the chosen rows."""

    def tag_removal(self, version: int, snapshots: Mapping[str, int]) -> None:
        """Name the snapshots after the version, so that they are kept."""

    def finish_removal(self, version: PublishedVersion) -> None:
        """Make `main` show the published version, and drop the run's branch."""


class RawNeeds(Protocol):
    """Says which raw events money that is not final needs. May raise UnavailableError."""

    def needed_from(self) -> tuple[date, str] | None:
        """Return the first day (UTC) whose raw events are needed, and why; None if none are."""


class MaintenanceMetrics(Protocol):
    """Figures of maintenance for monitoring."""

    def record(
        self,
        upkeep: Upkeep,
        snapshot_counts: Mapping[str, int],
        files: Mapping[str, TableFiles],
        oldest_raw_on: date | None,
    ) -> None:
        """Store the figures of a maintenance that ended well; `oldest_raw_on`: when the oldest raw event was received.

        That is a day (UTC), or None without raw events.
        """
