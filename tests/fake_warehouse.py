"""The port `Warehouse` in memory: each offset is one counted event of one video, so that a run takes milliseconds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from batch_layer.archive.archive_files import ArchivedFile, FileStatus
from batch_layer.archive.ports import Archived
from batch_layer.archive.removals import Removals
from batch_layer.gate.ports import GateReport
from batch_layer.lake.content import Content, Place
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.run.ports import ArchivedPiece, Branch, Decided, DerivedPiece, JudgedPiece, PieceContents
from batch_layer.run.run_ports import RunPorts
from batch_layer.versions.day_changes import TallyRow
from batch_layer.versions.ports import StagedCounts, Staging, VideoCount
from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import FoundSet, TrafficFinding, findings_hash
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.version import DayRules, PublishedVersion, SeenPeriod, SeenTraffic
from tests.batch_fakes import (
    Found,
    FoundInChange,
    MemoryDecisions,
    MemoryLog,
    MemorySpeed,
    MemoryTrafficDecisions,
    MemoryVersions,
    QuietMetrics,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = NOON.date()
TABLES = ("events", "raw_events")


@dataclass
class FakeWarehouse:
    """A warehouse that remembers its steps and does what a test sets."""

    staging: Staging
    catalogue: int = 0
    gap_offsets: Collection[LogPlace] = frozenset()
    failures: Sequence[str] = ()
    """What the gate refuses."""
    found: Sequence[str] = ()
    """What differs when a branch is read back."""
    rebuilt: Sequence[str] = ()
    """What a rebuild finds."""
    stop_at: str = ""
    """The step that ends with `ending`."""
    ending: BaseException = field(default_factory=lambda: RuntimeError("no ending is set"))
    is_of_today: bool = True
    traffic_policy: int = 0
    """The policy of traffic of new days."""
    judged_days: list[tuple[date, ...]] = field(default_factory=list)
    """The days given to each judging of traffic."""
    judged_periods: list[Period] = field(default_factory=list)
    """The periods given to each judging by the rules of a period."""
    groups: Sequence[TrafficGroup] = ()
    """Those under review."""
    changed_groups: Collection[TrafficGroup] = ()
    """Groups under review that have other events by now."""
    newly_unattested: int = 0
    """Events of before for which no key vouches any more."""
    steps: list[str] = field(default_factory=list)
    parts: list[tuple[OffsetVector, OffsetVector]] = field(default_factory=list)
    accepted: list[tuple[LogPlace, ...]] = field(default_factory=list)
    """The places given to each judging."""
    branches: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    """The branches whose context was entered and not left."""
    main: int = 0
    tags: dict[int, Mapping[str, int]] = field(default_factory=dict)
    views: int = 0

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.stop_at:
            raise self.ending

    def repair(self, current: PublishedVersion | None, kept_runs: Collection[str]) -> list[str]:
        self._step("repair")
        self.branches &= set(kept_runs)
        return self._move_main(current) if current else []

    def has_layout(self, base: PublishedVersion) -> bool:
        return self.is_of_today

    def has_newer_catalogue(self, base: PublishedVersion) -> bool:
        self._step("has_newer_catalogue")
        return any(rules.catalogue_version != self.catalogue for rules in base.day_rules.values())

    def has_newly_revoked_keys(self, base: PublishedVersion) -> bool:
        return self.newly_unattested > 0

    @contextmanager
    def open_branch(self, run_id: str, base: PublishedVersion | None) -> Iterator[Branch]:
        self._step("open_branch")
        assert base is None or self.is_of_today
        self.branches.add(run_id)
        self.open.add(run_id)
        self.views = base.row_counts["events"] if base else 0
        content = (base.day_rules, base.row_counts, base.content_hashes) if base else ({}, {}, {})
        try:
            yield Branch(run_id, base, *content, AttestingKeys())
        finally:
            self.open.discard(run_id)

    def archive(self, branch: Branch, start: OffsetVector, end: OffsetVector) -> ArchivedPiece:
        self._step("archive")
        assert branch.run_id in self.open
        self.parts.append((start, end))
        ranges = {each.partition: range(each.start, each.end) for each in end.ranges_since(start)}
        gaps = {p: sum((p, offset) in self.gap_offsets for offset in span) for p, span in ranges.items()}
        return ArchivedPiece(branch, start, end, Archived({p: len(span) - gaps[p] for p, span in ranges.items()}, gaps))

    def judge(self, piece: ArchivedPiece, accepted: Collection[LogPlace], contracts: EventContracts) -> JudgedPiece:
        self._step("judge")
        self.accepted.append(tuple(accepted))
        before = {rules.catalogue_version for rules in piece.branch.rules.values()}
        changed = self.views if before - {self.catalogue} else 0
        touched = frozenset({DAY + timedelta(days=len(self.parts))} if piece.archived.row_count else ())
        new = {day: DayRules(1, self.catalogue, self.traffic_policy) for day in touched}
        former = {day: replace(each, catalogue_version=self.catalogue) for day, each in piece.branch.rules.items()}
        counts = (piece.archived.row_count // 2, changed + len(accepted), changed)
        moved_days = frozenset(former) if accepted else frozenset[date]()
        return JudgedPiece(piece, touched, {**new, **former}, *counts, moved_days)

    def judge_revoked_keys(self, piece: ArchivedPiece, contracts: EventContracts) -> JudgedPiece:
        self._step("judge_revoked_keys")
        return JudgedPiece(piece, frozenset(piece.branch.rules), piece.branch.rules, 0, self.newly_unattested, 0)

    def judge_traffic(self, piece: ArchivedPiece, days: Collection[date], settled_until: datetime) -> JudgedPiece:
        self._step("judge_traffic")
        self.judged_days.append(tuple(sorted(days)))
        seen = SeenTraffic(piece.end, self.catalogue, settled_until)
        rules = {**piece.branch.rules, **{day: replace(piece.branch.rules[day], seen=seen) for day in days}}
        return JudgedPiece(piece, frozenset(days), rules, 0, 2 * len(days), 0)

    def judge_period(self, piece: ArchivedPiece, period: Period) -> JudgedPiece:
        self._step("judge_period")
        self.judged_periods.append(period)
        rules = piece.branch.rules
        days = [day for day in period.days() if day in rules and rules[day].period is None]
        found = FoundSet("crowd_of_weeks", "ann", TrafficOutcome.REVIEW, len(days), "0" * 32)
        seen = SeenPeriod(period, piece.end, self.catalogue, 1, findings_hash([found]))
        now = {**rules, **{day: replace(rules[day], period=seen) for day in days}}
        findings = (TrafficFinding(found, 60, days[0], days[-1], {"days": len(days)}),)
        return JudgedPiece(piece, frozenset(days), now, 0, len(days), 0, findings=findings)

    def groups_under_review(self, base: PublishedVersion) -> Sequence[TrafficGroup]:
        self._step("groups_under_review")
        return self.groups

    def undisturbed(self, base: PublishedVersion, decisions: Collection[TrafficDecision]) -> Sequence[TrafficDecision]:
        self._step("undisturbed")
        return [each for each in decisions if each.group not in self.changed_groups]

    def decide_traffic(self, piece: ArchivedPiece, decisions: Collection[TrafficDecision]) -> JudgedPiece:
        self._step("decide_traffic")
        count = sum(each.group.event_count for each in decisions)
        days = frozenset(each.group.day for each in decisions)
        return JudgedPiece(piece, days, piece.branch.rules, 0, count, 0)

    def derive(self, judged: JudgedPiece) -> DerivedPiece:
        self._step("derive")
        return DerivedPiece(judged)

    def check(self, derived: DerivedPiece) -> GateReport:
        self._step("check")
        return GateReport(tuple(self.failures), 7, Path(f"report-{len(self.parts)}.html"))

    def contents(self, derived: DerivedPiece) -> PieceContents:
        self._step("contents")
        piece = derived.judged.piece
        self.views += piece.archived.row_count
        counts = dict.fromkeys(TABLES, self.views)
        branch = replace(piece.branch, rules=derived.judged.rules, row_counts=counts, content_hashes=hashes(counts))
        hours = {Place(p, NOON): Content(rows) for p, rows in piece.archived.rows_by_partition.items()}
        file = ArchivedFile(FileStatus(1, NOON), hours)
        return PieceContents(branch, {f"file of part {len(self.parts)}": file} if hours else {}, self.found)

    def snapshots(self, branch: Branch) -> Mapping[str, int]:
        self._step("snapshots")
        return dict.fromkeys(TABLES, branch.row_counts["events"])

    def tally(self, branch: Branch) -> Sequence[TallyRow]:
        self._step("tally")
        return [TallyRow(NOON.date(), "counted", "", self.views)]

    def stage_counts(self, branch: Branch) -> StagedCounts:
        self._step("stage_counts")
        return StagedCounts(self.staging.store_counts(branch.run_id, 0, [VideoCount("a", self.views, 0, 0)]))

    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        self._step("tag")
        self.tags[version] = dict(snapshots)

    def differences_of_rebuild(
        self, version: PublishedVersion, decided: Decided, removals: Removals, run_id: str
    ) -> Sequence[object]:
        self._step("differences_of_rebuild")
        self.accepted.append(tuple(decided.accepted))
        return self.rebuilt

    @contextmanager
    def rewrite(
        self, run_id: str, base: PublishedVersion, decided: Decided, removals: Removals
    ) -> Iterator[DerivedPiece]:
        self._step("rewrite")
        self.accepted.append(tuple(decided.accepted))
        self.branches.add(run_id)
        self.open.add(run_id)
        rules = {day: replace(each, catalogue_version=self.catalogue) for day, each in base.day_rules.items()}
        branch = Branch(run_id, base, rules, base.row_counts, base.content_hashes, AttestingKeys())
        piece = ArchivedPiece(branch, base.offsets, base.offsets, Archived({}, {}))
        self.views = base.row_counts["events"]
        try:
            yield DerivedPiece(JudgedPiece(piece, frozenset(rules), rules, 0, 0, 0))
        finally:
            self.open.discard(run_id)

    def finish(self, version: PublishedVersion) -> None:
        self._step("finish")
        self._move_main(version)
        self.branches.discard(version.run_id)

    def _move_main(self, version: PublishedVersion) -> list[str]:
        moved = [] if self.main == version.snapshots["events"] else list(TABLES)
        self.main = version.snapshots["events"]
        return moved


def hashes(counts: Mapping[str, int]) -> dict[str, str]:
    """Return a hash for each table that differs by its number of rows."""
    return {name: Content(count, (count, count)).text for name, count in counts.items()}


@dataclass
class FakeRun:
    """A run with everything in memory, and its lines for the operator."""

    log: MemoryLog = field(default_factory=lambda: MemoryLog(2))
    speed: MemorySpeed = field(default_factory=lambda: MemorySpeed([None, None]))
    versions: MemoryVersions = field(default_factory=MemoryVersions)
    decisions: MemoryDecisions = field(default_factory=MemoryDecisions)
    traffic_decisions: MemoryTrafficDecisions = field(default_factory=MemoryTrafficDecisions)
    metrics: QuietMetrics = field(default_factory=QuietMetrics)
    found: Found = field(default_factory=Found)
    changed: FoundInChange = field(default_factory=FoundInChange)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.warehouse = FakeWarehouse(self.versions.staging)

    def send(self, *counts: int) -> None:
        """Append a number of messages to each partition."""
        for partition, count in enumerate(counts):
            for _ in range(count):
                self.log.append(partition, NOON, b"{}")

    def line(self, stage: str) -> str:
        """Return the last line of a stage."""
        return next(line for line in reversed(self.lines) if line.startswith(f"{stage}: "))

    def last_entry(self) -> Any:
        """Return the journal's last entry."""
        return list(self.versions.journal.values())[-1]

    def ports(self, **others: Any) -> RunPorts:
        """Return the ports of a run; `others` replace some."""
        progress = lambda stage, text: self.lines.append(f"{stage}: {text}")  # noqa: E731
        now = NOON + timedelta(seconds=len(self.versions.journal))
        ports = RunPorts(
            log=self.log,
            speed=self.speed,
            versions=self.versions,
            reconcile=ReconcilePorts(
                self.versions, self.versions, self.found, self.found, self.changed, self.found, progress
            ),
            decisions=self.decisions,
            traffic_decisions=self.traffic_decisions,
            warehouse=self.warehouse,
            metrics=self.metrics,
            progress=progress,
            clock=lambda: now,
        )
        return replace(ports, **others)
