"""The ports of a run's steps: the batch tables with their engine, and the figures for monitoring."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.ports import Archived
from batch_layer.gate.ports import GateReport
from batch_layer.versions.day_changes import DayChange
from batch_layer.versions.ports import VideoCount
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetRange, OffsetVector
from ingestion.contract.version import DayRules, PublishedVersion


@dataclass(frozen=True)
class Judgement:
    """The judged days, and the rules they were judged with."""

    touched: frozenset[date]
    judged: frozenset[date]
    rules: Mapping[date, DayRules]
    unknown_country_count: int = 0
    """Archived events whose country is not a known country; they are counted under `ZZ`."""


@dataclass(frozen=True)
class TableContents:
    """The content of a branch: the manifest of the version it may become."""

    snapshots: Mapping[str, int]
    row_counts: Mapping[str, int]
    content_hashes: Mapping[str, str]
    verdict_counts: Mapping[str, int]
    """Verdict → events, over all archived events; they add up to the events received."""
    archived: Mapping[str, ArchivedFile]
    """The files that the run added to the raw events, read back."""
    differences: Sequence[str]
    """Differences: between the records sent and read back, and between the raw and the judged events."""


class Warehouse(Protocol):
    """The batch tables and the engine that computes them. A run works on its own branch of every table.

    The base of a branch is the version that the pointer names, never `main`, which a crashed run may have left behind.
    Any call may raise UnavailableError.
    """

    def repair(self, current: PublishedVersion | None, kept_runs: Collection[str]) -> list[str]:
        """Make `main` show the current version, if given, and drop the branches of all runs but `kept_runs`.

        Return the tables whose `main` was wrong. No other run may be at work.
        """

    def open_branch(self, run_id: str, base: PublishedVersion | None) -> None:
        """Begin a run's branch in every table."""

    def archive(self, start: OffsetVector, ranges: Sequence[OffsetRange], end: OffsetVector) -> Archived:
        """Append the ranges' records, untouched, and prove that they are complete."""

    def judge(self, accepted: Collection[LogPlace], contracts: EventContracts) -> Judgement:
        """Decode the archived messages and judge every event of the days that they or a decision can affect.

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
        """Return the differences from the base version by video and event day; can be read once."""

    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """Name the branch's snapshots after the version, so that they are kept."""

    def differences_of_rebuild(
        self, version: PublishedVersion, accepted: Collection[LogPlace], run_id: str
    ) -> Sequence[object]:
        """Recount a version from its raw events and all late events that were accepted until then.

        Return the differences, in sentences by `str`, causes first.
        """

    def finish(self, version: PublishedVersion) -> None:
        """Make `main` show the published version and drop the run's branch."""


class RunMetrics(Protocol):
    """Figures of the last run for monitoring."""

    def record(self, outcome: str, figures: Mapping[str, float], stage_seconds: Mapping[str, float]) -> None:
        """Store the figures of a run that ended with `outcome`."""
