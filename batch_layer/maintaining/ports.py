"""The ports of maintenance: the record of expired versions, and the tables that hold what versions show."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

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

    def drop_tags(self, versions: Collection[int]) -> int:
        """Remove the tags of these versions from every table; return how many there were."""

    def expire_snapshots(self, before: datetime) -> int:
        """Remove the snapshots older than an instant that no branch or tag needs, with their files.

        Return the number of files removed.
        """

    def remove_orphans(self, before: datetime) -> int:
        """Remove files older than an instant that no snapshot names; return how many."""

    def snapshot_counts(self) -> Mapping[str, int]:
        """Return the number of snapshots of each table."""


class MaintenanceMetrics(Protocol):
    """Figures of maintenance for monitoring."""

    def record(self, upkeep: Upkeep, snapshot_counts: Mapping[str, int]) -> None:
        """Store the figures of a maintenance that ended well."""
