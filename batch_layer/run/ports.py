"""The ports of a run's steps: the batch tables with their engine, and the figures for monitoring.

Each step takes what the step before it returned, so that a wrong order cannot be written.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.ports import Archived
from batch_layer.archive.removals import Removals
from batch_layer.gate.ports import GateReport
from batch_layer.versions.day_changes import TallyRow
from batch_layer.versions.ports import StagedCounts
from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import TrafficFinding
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.version import DayRules, PublishedVersion


@dataclass(frozen=True)
class Decided:
    """All that people had decided when a version was judged."""

    accepted: Collection[LogPlace] = ()
    """The late events that were accepted."""
    traffic: Collection[TrafficDecision] = ()


@dataclass(frozen=True)
class Branch:
    """The branch of a run in every table, with the content it has now."""

    run_id: str
    base: PublishedVersion | None
    rules: Mapping[date, DayRules]
    """The rules of every event day of the branch."""
    row_counts: Mapping[str, int]
    content_hashes: Mapping[str, str]
    attesting_keys: AttestingKeys
    """The keys that vouch for its events."""
    engine: Any = field(repr=False, compare=False, default=None)
    """The engine's own state."""


@dataclass(frozen=True)
class ArchivedPiece:
    """A part of the log, archived on a branch."""

    branch: Branch
    start: OffsetVector
    end: OffsetVector
    archived: Archived
    engine: Any = field(repr=False, compare=False, default=None)


@dataclass(frozen=True)
class JudgedPiece:
    """An archived part whose events, and the stored ones that they change, have their outcomes on the branch."""

    piece: ArchivedPiece
    touched: frozenset[date]
    """The event days with new or changed rows."""
    rules: Mapping[date, DayRules]
    unknown_country_count: int
    """Archived events whose country is not a known country; they are counted under `ZZ`."""
    replaced_count: int
    """Stored events whose outcome changed."""
    catalogue_changed_count: int
    """Those of them that changed because the catalogue did."""
    moved_days: frozenset[date] = frozenset()
    """The days to which decisions moved late events."""
    findings: tuple[TrafficFinding, ...] = ()
    """What the rules of a period found."""
    engine: Any = field(repr=False, compare=False, default=None)


@dataclass(frozen=True)
class DerivedPiece:
    """A judged part that all derived tables of the branch include."""

    judged: JudgedPiece
    engine: Any = field(repr=False, compare=False, default=None)


@dataclass(frozen=True)
class PieceContents:
    """What a part adds to the branch, read back from what was written."""

    branch: Branch
    """The branch with the part."""
    archived: Mapping[str, ArchivedFile]
    """The files that were added to the raw events."""
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

    def has_layout(self, base: PublishedVersion) -> bool:
        """Return whether the tables of a version have today's layout, not that of an earlier release."""

    def has_newer_catalogue(self, base: PublishedVersion) -> bool:
        """Return whether the catalogue has changed since the base was judged."""

    def has_newly_revoked_keys(self, base: PublishedVersion) -> bool:
        """Return whether a key that vouches for events of the base is not trusted, from an instant on.

        Raises:
            RefusedError: names a key that was revoked from an earlier instant before.
        """

    def open_branch(self, run_id: str, base: PublishedVersion | None) -> AbstractContextManager[Branch]:
        """Begin a run's branch in every table; leaving the context frees what was computed, not the branch."""

    def archive(self, branch: Branch, start: OffsetVector, end: OffsetVector) -> ArchivedPiece:
        """Append the records in `[start, end)`, untouched, and prove that they are complete."""

    def judge(self, piece: ArchivedPiece, accepted: Collection[LogPlace], contracts: EventContracts) -> JudgedPiece:
        """Decode the archived messages, judge them, and replace the stored events whose outcome they change.

        `accepted`: the late events that this run is the first to judge as accepted.
        """

    def judge_revoked_keys(self, piece: ArchivedPiece, contracts: EventContracts) -> JudgedPiece:
        """Judge the stored events again for which no key vouches any more, since one is not trusted from an instant on.

        `piece` is empty. Events whose message is no longer archived stay as they are.
        """

    def judge_traffic(self, piece: ArchivedPiece, days: Collection[date], settled_until: datetime) -> JudgedPiece:
        """Let the day rules judge days by all events of the branch, and replace the events whose outcome they change.

        `piece` is empty. `settled_until`: all events appended before this instant are on the branch.

        Raises:
            RefusedError: a day was judged by a policy that this program does not know.
        """

    def judge_period(self, piece: ArchivedPiece, period: Period) -> JudgedPiece:
        """Let the rules of a period judge those of its days that none has judged, by all events of the branch.

        `piece` is empty. Events of which a rule of a day or a person has said something are left alone.
        """

    def groups_under_review(self, base: PublishedVersion) -> Sequence[TrafficGroup]:
        """Return the groups of a version that wait for a decision, in order."""

    def undisturbed(self, base: PublishedVersion, decisions: Collection[TrafficDecision]) -> Sequence[TrafficDecision]:
        """Return the decisions whose groups have in a version exactly the events that were decided on."""

    def decide_traffic(self, piece: ArchivedPiece, decisions: Collection[TrafficDecision]) -> JudgedPiece:
        """Give the events of decided groups their outcome. `piece` is empty; the groups are those of the base."""

    def derive(self, judged: JudgedPiece) -> DerivedPiece:
        """Add the changes to the derived tables."""

    def check(self, derived: DerivedPiece) -> GateReport:
        """Let the gate judge what the part changed."""

    def contents(self, derived: DerivedPiece) -> PieceContents:
        """Read back what the part changed."""

    def snapshots(self, branch: Branch) -> Mapping[str, int]:
        """Return the newest snapshot of every table of the branch."""

    def tally(self, branch: Branch) -> Sequence[TallyRow]:
        """Return how many archived events of each day have which verdict; they add up to the events received."""

    def stage_counts(self, branch: Branch) -> StagedCounts:
        """Store the counts that differ from the base version, by video and by video and day, for `publish`."""

    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """Name the branch's snapshots after the version, so that they are kept."""

    def differences_of_rebuild(
        self, version: PublishedVersion, decided: Decided, removals: Removals, run_id: str
    ) -> Sequence[object]:
        """Recount a version from its raw events and all that people had decided until then.

        Events whose raw values are on record as removed keep the outcome that was published.

        Return the differences, in sentences by `str`, causes first.
        """

    def rewrite(
        self, run_id: str, base: PublishedVersion, decided: Decided, removals: Removals
    ) -> AbstractContextManager[DerivedPiece]:
        """Give the tables today's layout and write them on a branch again, from the raw events of a version."""

    def finish(self, version: PublishedVersion) -> None:
        """Make `main` show the published version and drop the run's branch."""


class RunMetrics(Protocol):
    """Figures of the last run for monitoring."""

    def record(self, outcome: str, figures: Mapping[str, float], stage_seconds: Mapping[str, float]) -> None:
        """Store the figures of a run that ended with `outcome`."""


class RunObserver(Protocol):
    """Observes runs, for log lines and traces."""

    def begun(self, run_id: str) -> None:
        """Note that a run has begun."""

    def stage_ended(self, name: str, seconds: float) -> None:
        """Note that a stage of the run has just ended."""

    def published(self, version: PublishedVersion) -> None:
        """Note that the run has published a version."""


class Unobserved:
    """Notes nothing."""

    def begun(self, run_id: str) -> None:
        """Do nothing."""

    def stage_ended(self, name: str, seconds: float) -> None:
        """Do nothing."""

    def published(self, version: PublishedVersion) -> None:
        """Do nothing."""
