"""What the steps of a run need: the batch tables with their engine, and somebody to tell."""

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
