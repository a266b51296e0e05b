"""Which published version a command reads: the current one, one by its number, or the one in force on a day."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from batch_layer.published.postgres_published_snapshots import PostgresPublishedSnapshots
from ingestion.contract.instants import BOUNDS, day_of_text, instant_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


@dataclass(frozen=True)
class VersionChoice:
    """What the user said; at most one of the two."""

    version: int | None
    as_of: datetime | None
    """The version in force just before this instant."""

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "VersionChoice":
        """Read `--version` and `--as-of`; raises CommandError(BAD_INPUT)."""
        if arguments.version is not None and arguments.as_of is not None:
            raise CommandError("--version and --as-of exclude each other", ExitCode.BAD_INPUT)
        if arguments.version is not None and not re.fullmatch(r"[1-9]\d{0,17}", arguments.version, re.ASCII):
            raise CommandError(
                f"--version is {arguments.version!r}; it must be the number of a published version", ExitCode.BAD_INPUT
            )
        version = int(arguments.version) if arguments.version else None
        return cls(version, None if arguments.as_of is None else instant_after(arguments.as_of))


def add_version_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--version` and `--as-of`."""
    parser.add_argument("--version", help="the number of a published version (default: the current one)")
    parser.add_argument(
        "--as-of", metavar="DATE", help="the version in force at the end of a UTC day, or at an instant with its zone"
    )


def instant_after(text: str) -> datetime:
    """Return the end of a day (`2026-11-24`), or an instant (`2026-11-24T12:00:00Z`)."""
    try:
        return datetime.combine(day_of_text(text) + timedelta(days=1), time(), UTC)
    except ValueError:
        pass  # no day
    try:
        return instant_of(text)
    except ValueError as error:
        raise CommandError(
            f"--as-of is {text!r}; it must be a day like 2026-11-24, or an instant with its zone like "
            f"2026-11-24T12:00:00Z, {BOUNDS}",
            ExitCode.BAD_INPUT,
        ) from error


def chosen_version(snapshots: PostgresPublishedSnapshots, choice: VersionChoice) -> int:
    """Return the number of the version that is meant.

    Raises CommandError(REFUSED) when nothing is published, BAD_INPUT when the version or the day has none.
    """
    current = snapshots.current()
    if current is None:
        raise CommandError("no batch version is published yet; run `./viewledger batch run` first", ExitCode.REFUSED)
    if choice.as_of is not None:
        return _in_force(snapshots.published_at(), choice.as_of)
    if choice.version is not None and choice.version > current:
        raise CommandError(f"version {choice.version} was not published; there are 1 to {current}", ExitCode.BAD_INPUT)
    return choice.version or current


def _in_force(published_at: Mapping[int, datetime], instant: datetime) -> int:
    before = [version for version, at in published_at.items() if at < instant]
    if not before:
        first = published_at[min(published_at)]
        raise CommandError(
            f"nothing was published by then; version {min(published_at)} is of {first:%Y-%m-%d %H:%M:%S} UTC",
            ExitCode.BAD_INPUT,
        )
    return max(before)
