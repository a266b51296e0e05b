"""The result of a batch run or a rebuild, and the id of a run."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.cut import Cut
from batch_layer.gate.ports import GateReport
from batch_layer.run.ports import Branch, JudgedPiece, PieceContents
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import TrafficFinding
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.version import PublishedVersion


@dataclass(frozen=True)
class RunResult:
    """The result of a run that ended without an error."""

    run_id: str
    state: str
    """`published` or `nothing_new`."""
    version: int | None
    archived_count: int = 0
    gap_count: int = 0
    """Offsets without a record among those that were archived."""
    uncut_count: int = 0
    """Partitions that the speed layer did not cut."""
    accepted_count: int = 0
    """Late events that the version is the first to judge as accepted."""
    unknown_country_count: int = 0
    """Archived events whose country is not a known country."""
    judged_days: tuple[str, ...] = ()
    row_counts: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """Verdict → events, over the whole version; they add up to its raw rows."""
    reasons_to_review: tuple[str, ...] = ()
    """The reasons that suddenly had many events of a day, as `2026-11-20 crowd`: they are no more than a review."""
    expiring_group_count: int = 0
    """Groups under review that are released within days, unless somebody decides."""
    changed_video_count: int = 0
    settled_until: datetime | None = None
    report: str | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """The differences found when what was published was reconciled; any stops publishing and billing."""


def new_run_id(now: datetime) -> str:
    """Return a unique id that sorts by time."""
    return f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


@dataclass
class JudgedSoFar:
    """What a run has judged so far."""

    run_id: str
    former: PublishedVersion | None
    cut: Cut
    accepted: tuple[LogPlace, ...]
    contracts: EventContracts
    branch: Branch
    decisions: tuple[TrafficDecision, ...] = ()
    """About groups of events under review, which this run is the first to apply."""
    archived_count: int = 0
    gaps: Counter[int] = field(default_factory=Counter)
    unknown_country_count: int = 0
    catalogue_changed_count: int = 0
    touched: set[date] = field(default_factory=set)
    moved_days: set[date] = field(default_factory=set)
    """The days to which decisions moved late events."""
    reasons_to_review: list[str] = field(default_factory=list)
    """See `RunResult`."""
    findings: list[tuple[Period, TrafficFinding]] = field(default_factory=list)
    """What the rules of each period found."""
    files: dict[str, ArchivedFile] = field(default_factory=dict)
    report: str = ""

    def add(self, piece: JudgedPiece, contents: PieceContents, report: GateReport) -> None:
        """Add a part to the sums."""
        archived = piece.piece.archived
        self.branch = contents.branch
        self.archived_count += archived.row_count
        self.gaps.update({partition: gap for partition, gap in archived.gaps_by_partition.items() if gap})
        self.unknown_country_count += piece.unknown_country_count
        self.catalogue_changed_count += piece.catalogue_changed_count
        self.touched |= piece.touched
        self.moved_days |= piece.moved_days
        self.files |= contents.archived
        self.report = str(report.page)

    @property
    def touched_days(self) -> tuple[str, ...]:
        """Return the touched event days in order."""
        return tuple(sorted(day.isoformat() for day in self.touched))
