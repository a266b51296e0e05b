"""Choose the published version that a command reads: the current one, one by its number, or the one of a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from batch_layer.published.postgres_published_snapshots import PostgresPublishedSnapshots
from ingestion.contract.version import ExpiredVersionError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


@dataclass(frozen=True)
class VersionChoice:
    """The user's choice; at most one of the two."""

    version: int | None
    as_of: datetime | None
    """The version in force just before this instant."""

    @classmethod
    def of(cls, version: int | None, as_of: datetime | None) -> "VersionChoice":
        """Return the choice; raise CommandError(BAD_INPUT) if both are given."""
        if version is not None and as_of is not None:
            raise CommandError("--version and --as-of exclude each other", ExitCode.BAD_INPUT)
        return cls(version, as_of)


def chosen_version(snapshots: PostgresPublishedSnapshots, choice: VersionChoice) -> int:
    """Return the number of the chosen version.

    Raises CommandError(REFUSED) if nothing is published, BAD_INPUT if there is no such version, or none
    any more.
    """
    current = snapshots.current()
    if current is None:
        raise CommandError("no batch version is published yet; run `./viewledger batch run` first", ExitCode.REFUSED)
    if choice.version is not None and choice.version > current:
        raise CommandError(f"version {choice.version} was not published; there are 1 to {current}", ExitCode.BAD_INPUT)
    if choice.as_of is not None:
        chosen = _in_force(snapshots.published_at(), choice.as_of)
    else:
        chosen = choice.version or current
    try:
        snapshots.check_kept(chosen)
    except ExpiredVersionError as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    return chosen


def _in_force(published_at: Mapping[int, datetime], instant: datetime) -> int:
    before = [version for version, at in published_at.items() if at < instant]
    if not before:
        first = published_at[min(published_at)]
        raise CommandError(
            f"nothing was published by then; version {min(published_at)} is of {first:%Y-%m-%d %H:%M:%S} UTC",
            ExitCode.BAD_INPUT,
        )
    return max(before)
