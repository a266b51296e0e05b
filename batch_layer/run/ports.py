"""What a batch run needs from outside, each as a port; a concrete one sits in a file named by its technology."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from batch_layer.archive.archive_files import ArchivedFile, Hours, RecordedFile
from batch_layer.reconciling.reconciliation import BilledVideo, Counts, Days, Reconciliation
from batch_layer.versions.day_changes import DayChange
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetRange, OffsetVector
from ingestion.contract.version import DayRules, PublishedVersion


class SpeedCut(Protocol):
    """The speed layer's side of a run."""

    def cut(self, partition_count: int) -> Sequence[int | None]:
        """Close the open segment of every partition, atomically; return where the next one starts.

        None stands for a partition without state. May raise UnavailableError: the run then goes to the highwater and
        the speed layer repairs itself later.
        """

    def prune(self, offset_ends: Sequence[int]) -> int:
        """Drop the segments that start before these offsets; return how many. May raise UnavailableError."""


class LogEnds(Protocol):
    """The broker's view of the topic. Every call may raise UnavailableError."""

    base: int  # the first offset of this generation of the log

    def partition_count(self) -> int:
        """Return how many partitions the topic has."""

    def broker_time(self) -> datetime:
        """Return the broker's clock, taken from a record appended just now."""

    def beginnings(self) -> tuple[int, ...]:
        """Return the first offset that each partition still holds."""

    def highwaters(self) -> tuple[int, ...]:
        """Return the log end of each partition."""

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        """Return, by partition, the append time of the first record at or after an offset; absent if there is none."""


@dataclass(frozen=True)
class RunEntry:
    """A batch run in the journal."""

    run_id: str
    kind: str
    state: str
    version: int | None
    started_at: datetime
    ended_at: datetime | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VideoCount:
    """All settled views of one video."""

    video_id: str
    views: int
    billable_views: int


class VersionStore(Protocol):
    """Published versions, the pointer and the journal of runs. Every call may raise UnavailableError."""

    def lock(self) -> bool:
        """Become the only batch run until `close` or the end of the process; False if another one is at work."""

    def current(self) -> PublishedVersion | None:
        """Return the version that the pointer names."""

    def version(self, number: int) -> PublishedVersion | None:
        """Return a published version by its number."""

    def accepted_until(self, version: int) -> frozenset[LogPlace]:
        """Return the late events that are judged as accepted in a version: what it and those before it took so."""

    def begin(self, entry: RunEntry) -> None:
        """Write a run's row into the journal."""

    def end(self, run_id: str, state: str, detail: Mapping[str, Any]) -> None:
        """Write how a run ended."""

    def runs_in(self, state: str) -> list[str]:
        """Return the ids of the runs that the journal shows in a state. Under the lock none that is `running` lives."""

    def publish(
        self,
        version: PublishedVersion,
        changed: Iterable[VideoCount],
        detail: Mapping[str, Any],
        days: Iterable[DayChange],
        archived: Mapping[str, ArchivedFile],
    ) -> None:
        """In one transaction: the version, its changed counts and days, its files, the pointer, the run's end.

        Raises:
            RefusedError: the version does not follow the current one.
        """


class ReconciliationStore(Protocol):
    """What published versions put on record, and what comparisons found. Every call may raise UnavailableError."""

    def recorded_files(self) -> dict[str, RecordedFile]:
        """Return every archived file of every version by its path."""

    def recorded_hours(self, paths: Collection[str]) -> dict[str, Hours]:
        """Return what is on record of these files; a file without a record is absent."""

    def hours_until(self, version: int, days: Days | None) -> dict[str, Hours]:
        """Return what is on record of all files of the versions up to this one; of some days (UTC) if given."""

    def counts_at(self, version: int) -> dict[str, Counts]:
        """Return the served views and billable views of each video in force at a version; zeros where none are left."""

    def record(self, kind: str, found: Reconciliation) -> None:
        """Keep what a comparison found; `kind` is `run` or `command`."""

    def unreconciled_days(self) -> Days:
        """Return the days (UTC) that published versions received or judged since one was reconciled, in order."""

    def open_differences(self) -> list[Reconciliation]:
        """Return the comparisons with differences that no later comparison has cleared, oldest first.

        One of a command without any difference clears those of the same day, or all when it compared all days.
        """


class ArchiveCheck(Protocol):
    """The files of the archive against what is on record of them. May raise UnavailableError."""

    def differences(self, version: PublishedVersion) -> list[str]:
        """Return a sentence for each file of a version that is gone, changed, or was added behind it.

        Reads the files' status, and the content only of those that look otherwise than on record.
        """

    def repair(self, version: PublishedVersion) -> list[str]:
        """Make `main` of every table show a version again, without what was added behind it; return which did not."""


class Comparison(Protocol):
    """Compares one published version with what is on record and with itself, row by row or by order-free hashes.

    Every call returns sentences, may raise UnavailableError, and DifferenceError naming a file that cannot be read.
    A day is a UTC day; None compares everything.
    """

    def raw_events(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        """Compare the raw events with what is on record of them; return also how many rows that is."""

    def events(self, version: PublishedVersion, days: Days | None) -> list[str]:
        """Compare the raw events with the judged and the rejected ones, and these with the tally."""

    def videos(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        """Compare every video's counts in all tables and as served; return also how many videos have views."""

    def billable_views(self, version: PublishedVersion, start_on: date, end_on: date) -> Mapping[str, int]:
        """Return the billable events of a period `[start, end)` by video."""


class BilledViews(Protocol):
    """What the ledger was posted for. May raise UnavailableError."""

    def billed(self, days: Days | None) -> Sequence[BilledVideo]:
        """Return the billed views of each video by period and version; of the periods that hold one of the days."""

    def paid_twice(self) -> Sequence[str]:
        """Return a sentence for each video whose views the ledger pays more than once, in whichever periods."""


@dataclass(frozen=True)
class Archived:
    """What a run archived."""

    rows_by_partition: Mapping[int, int]
    gaps_by_partition: Mapping[int, int]
    """Offsets without a record; transactional producers leave them, and they are no loss."""

    @property
    def row_count(self) -> int:
        """Return how many events were archived."""
        return sum(self.rows_by_partition.values())


@dataclass(frozen=True)
class Judgement:
    """Which days were judged, and with which rules."""

    touched: frozenset[date]
    judged: frozenset[date]
    rules: Mapping[date, DayRules]
    unknown_country_count: int = 0
    """Events among those that were archived that name a country by a text that is none; they are counted under `ZZ`."""


@dataclass(frozen=True)
class TableContents:
    """What a branch holds: the manifest of the version it may become."""

    snapshots: Mapping[str, int]
    row_counts: Mapping[str, int]
    content_hashes: Mapping[str, str]
    verdict_counts: Mapping[str, int]
    """Verdict → events, over all that was ever archived; they add up to the events received."""
    archived: Mapping[str, ArchivedFile]
    """The files that the run added to the raw events, read back."""
    differences: Sequence[str]
    """What does not agree: the records sent with those read back, the raw events with the judged ones."""


@dataclass(frozen=True)
class GateReport:
    """What the gate found."""

    failures: tuple[str, ...]
    checked_count: int
    page: Path
    """The report as HTML; `gate.json` lies beside it."""


class Warehouse(Protocol):
    """The batch tables and the engine that computes them. A run works on its own branch of every table.

    The base of a branch is the version that the pointer names, never `main`, which a crashed run may have left behind.
    Any call may raise UnavailableError.
    """

    def repair(self, current: PublishedVersion | None, kept_runs: Collection[str]) -> list[str]:
        """Make `main` show the current version, if one is given, and drop the branches of all runs but `kept_runs`.

        Returns the tables whose `main` was wrong. No other run may be at work.
        """

    def open_branch(self, run_id: str, base: PublishedVersion | None) -> None:
        """Begin a run's branch in every table."""

    def archive(self, start: OffsetVector, ranges: Sequence[OffsetRange], end: OffsetVector) -> Archived:
        """Append the ranges' records, untouched, and prove that they are all there."""

    def judge(self, accepted: Collection[LogPlace], contracts: EventContracts) -> Judgement:
        """Decode what was archived and judge every event of the days that it or a decision can affect.

        `accepted`: the late events that this run is the first to judge as accepted.
        """

    def derive(self) -> None:
        """Compute the derived tables of the judged days."""

    def contents(self) -> TableContents:
        """Return the branch's snapshots, row counts and content hashes."""

    def check(self, offsets: OffsetVector, archived: Archived) -> GateReport:
        """Let the gate judge the branch."""

    def changed_counts(self) -> Sequence[VideoCount]:
        """Return the videos whose totals differ from the base version."""

    def changed_days(self) -> Iterable[DayChange]:
        """Return what differs from the base version by video and event day; can be read once."""

    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """Name the branch's snapshots after the version, so that they are kept."""

    def differences_of_rebuild(
        self, version: PublishedVersion, accepted: Collection[LogPlace], run_id: str
    ) -> Sequence[object]:
        """Recount a version from its raw events and all the late ones that were accepted until then.

        Returns what differs, in sentences by `str`, causes first.
        """

    def finish(self, version: PublishedVersion) -> None:
        """Make `main` show the published version and drop the run's branch."""


class RunMetrics(Protocol):
    """Figures of the last run for monitoring."""

    def record(self, outcome: str, figures: Mapping[str, float], stage_seconds: Mapping[str, float]) -> None:
        """Keep the figures of a run that ended with `outcome`."""


class Progress(Protocol):
    """Tells the operator what the run is doing."""

    def __call__(self, stage: str, text: str) -> None:
        """Report one step of a stage."""
