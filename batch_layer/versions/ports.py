"""The ports to published versions and the journal of runs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.removals import Removal
from batch_layer.versions.day_changes import DayChange, InvalidChange, TallyRow, ViewerChange
from ingestion.contract.offsets import LogPlace
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import TrafficFinding
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.version import PublishedVersion


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
    watched_seconds: int


@dataclass(frozen=True)
class StagedCounts:
    """How many rows of a run were stored by `Staging`."""

    video_count: int = 0
    day_count: int = 0
    invalid_count: int = 0
    viewer_count: int = 0


class Staging(Protocol):
    """Stores the counts of a run until it is published. Executors call it: it can be pickled.

    Rows are stored in pieces. A piece that is stored again takes the place of the former one, so that a task may be
    tried again. Every call may raise UnavailableError.
    """

    def store_counts(self, run_id: str, piece: int, rows: Iterable[VideoCount]) -> int:
        """Store the changed counts of videos, each video in one piece; return how many."""

    def store_days(self, run_id: str, piece: int, rows: Iterable[DayChange]) -> int:
        """Store the changes by video and event day, each in one piece; return how many."""

    def store_invalid(self, run_id: str, piece: int, rows: Iterable[InvalidChange]) -> int:
        """Store the changes of invalid traffic by video, event day and class, each in one piece; return how many."""

    def store_viewers(self, run_id: str, piece: int, rows: Iterable[ViewerChange]) -> int:
        """Store the changes of viewers by video and event day, each in one piece; return how many."""


class VersionStore(Protocol):
    """Published versions, the pointer and the journal of runs. Every call may raise UnavailableError."""

    def lock(self) -> bool:
        """Become the only batch run until `close` or the end of the process; return False if another one is at work."""

    def current(self) -> PublishedVersion | None:
        """Return the version that the pointer names."""

    def version(self, number: int) -> PublishedVersion | None:
        """Return a published version by its number."""

    def accepted_until(self, version: int) -> frozenset[LogPlace]:
        """Return the late events that are accepted in a version: those that it or an earlier one accepted."""

    def traffic_decided_until(self, version: int) -> frozenset[TrafficDecision]:
        """Return the decisions about groups under review that are applied in a version."""

    def begin(self, entry: RunEntry) -> None:
        """Write a run's row into the journal."""

    def end(self, run_id: str, state: str, detail: Mapping[str, Any]) -> None:
        """Write how a run ended."""

    def runs_in(self, state: str) -> list[str]:
        """Return the ids of the runs in a state of the journal. Under the lock no `running` one is alive."""

    def drop_staged(self) -> None:
        """Remove the rows that runs have staged and not published. Under the lock no run is storing any."""

    def publish(
        self,
        version: PublishedVersion,
        staged: StagedCounts,
        detail: Mapping[str, Any],
        archived: Mapping[str, ArchivedFile],
        replaced: Collection[str] = (),
        removal: Removal | None = None,
        findings: Collection[tuple[Period, TrafficFinding]] = (),
        tally: Collection[TallyRow] | None = None,
        forgotten: str | None = None,
    ) -> None:
        """Publish in one transaction: the version, the run's staged rows, its files, the pointer, the run's end.

        `findings`: what the rules of periods found, which the days of the version pin. `forgotten`: the viewer whose
        rows the removal is of. Viewers whose rows are removed leave the published changes, and the numbers stay.

        `tally`: of all events of the version; None: it is that of the version before.

        `replaced`: files of raw events whose rows are now in those that were archived, or were removed by `removal`.

        Raises:
            RefusedError: the version does not follow the current one, or the replaced files had other rows.
            UnavailableError: fewer or more rows are staged than the run has stored; another attempt stores them again.
        """
