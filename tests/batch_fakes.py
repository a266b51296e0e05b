"""Fakes of what a batch run uses, in memory and without Spark: `FakeWarehouse` and the ports beside it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batch_layer.archive.archive_files import ArchivedFile, Hours, RecordedFile, by_place
from batch_layer.archive.removals import Removal, Removals, with_removed
from batch_layer.errors import RefusedError
from batch_layer.judging.ports import ReleasedGroups
from batch_layer.lake.content import Content, Place
from batch_layer.lake.tables import TRAFFIC_OUTCOMES
from batch_layer.reconciling.ports import NotedGroups
from batch_layer.reconciling.reconciliation import Days, Reconciliation, VersionChange
from batch_layer.versions.day_changes import DayChange, InvalidChange, TallyRow, ViewerChange, viewer_key
from batch_layer.versions.ports import RunEntry, StagedCounts, VideoCount
from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.counting import Received, VideoFacts
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.offsets import LogPlace
from ingestion.contract.periods import Period
from ingestion.contract.settled import BilledVideo
from ingestion.contract.traffic_findings import TrafficFinding
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion
from tests.folder_staging import FolderStaging

TOPIC = "video-views"
ATTESTATION_KEYS = {"first": b"first" * 8, "second": b"second" * 8}


@dataclass(frozen=True)
class Message:
    """A record of the log in memory."""

    partition: int
    offset: int
    appended_at: datetime
    value: bytes

    @property
    def received(self) -> Received:
        return Received(self.partition, self.offset, self.appended_at, decode_view_event(self.value))


class MemoryLog:
    """The log in memory: the port `LogEnds`."""

    base = 0

    def __init__(self, partition_count: int) -> None:
        self.messages: list[list[Message]] = [[] for _ in range(partition_count)]
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def append(self, partition: int, appended_at: datetime, value: bytes) -> None:
        here = self.messages[partition]
        here.append(Message(partition, len(here), appended_at, value))
        self.now = max(self.now, appended_at)

    def all(self) -> list[Message]:
        return [message for here in self.messages for message in here]

    def partition_count(self) -> int:
        return len(self.messages)

    def broker_time(self) -> datetime:
        return self.now

    def beginnings(self) -> tuple[int, ...]:
        return (0,) * len(self.messages)

    def highwaters(self) -> tuple[int, ...]:
        return tuple(len(here) for here in self.messages)

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        return {partition: self.messages[partition][offset].appended_at for partition, offset in offsets.items()}


def key_of(value: bytes) -> bytes | None:
    """Return the key that a producer gives a message: the video id where it can be read, sometimes a wrong one."""
    try:
        return str(json.loads(value)["video_id"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return b"c" if value else None


@dataclass
class MemorySpeed:
    """The port `SpeedCut`: answers with the positions it was given; None stands for no state."""

    positions: list[int | None]
    pruned: list[tuple[int, ...]] = field(default_factory=list)

    def cut(self, partition_count: int) -> Sequence[int | None]:
        assert partition_count == len(self.positions)
        return list(self.positions)

    def prune(self, offset_ends: Sequence[int]) -> int:
        self.pruned.append(tuple(offset_ends))
        return 0


class MemoryVersions:
    """The ports `VersionStore` and `ReconciliationStore` in memory."""

    def __init__(self) -> None:
        self.published: list[PublishedVersion] = []
        self.counts: list[tuple[int, VideoCount]] = []
        self.days: list[tuple[int, DayChange]] = []
        self.invalid: list[tuple[int, InvalidChange]] = []
        self.viewers: list[tuple[int, ViewerChange]] = []
        self.files: dict[str, tuple[int, ArchivedFile]] = {}
        self.replaced: dict[str, int] = {}
        self.removals: dict[int, Removal] = {}
        self.tallies: dict[int, list[TallyRow]] = {}
        self.findings: list[tuple[int, Period, TrafficFinding]] = []
        self.found: list[tuple[str, Reconciliation]] = []
        self.journal: dict[str, RunEntry] = {}
        self.noted: NotedGroups | None = None
        self.is_locked_elsewhere = False
        self._folder = TemporaryDirectory()
        self.staging = FolderStaging(Path(self._folder.name))

    def lock(self) -> bool:
        return not self.is_locked_elsewhere

    def current(self) -> PublishedVersion | None:
        return self.published[-1] if self.published else None

    def version(self, number: int) -> PublishedVersion | None:
        return self.published[number - 1] if 0 < number <= len(self.published) else None

    def accepted_until(self, version: int) -> frozenset[LogPlace]:
        return frozenset(place for each in self.published[:version] for place in each.accepted_late)

    def traffic_decided_until(self, version: int) -> frozenset[TrafficDecision]:
        return frozenset(decision for each in self.published[:version] for decision in each.traffic_decisions)

    def begin(self, entry: RunEntry) -> None:
        self.journal[entry.run_id] = entry

    def end(self, run_id: str, state: str, detail: Mapping[str, Any]) -> None:
        if self.journal[run_id].state == "running":
            self.journal[run_id] = replace(self.journal[run_id], state=state, detail=dict(detail))

    def runs_in(self, state: str) -> list[str]:
        return [run_id for run_id, entry in self.journal.items() if entry.state == state]

    def drop_staged(self) -> None:
        self.staging.drop()

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
        if version.version != len(self.published) + 1:
            raise RefusedError(f"version {version.version} does not follow {len(self.published)}")
        former = self.published[-1].event_contracts.boundaries if self.published else ()
        keys = self.published[-1].attesting_keys if self.published else None
        if keys and (version.attesting_keys or AttestingKeys()).keys[: len(keys.keys)] != keys.keys:
            raise RefusedError(f"version {version.version} has other keys; use the program that published them")
        if version.event_contracts.boundaries[: len(former)] != former:
            raise RefusedError(f"version {version.version} has other contracts; use the program that published them")
        of_replaced = by_place({path: self.files[path][1].hours for path in replaced})
        removed = removal.removed.get("raw_events", {}) if removal else {}
        kept = by_place({path: each.hours for path, each in archived.items()})
        if replaced and with_removed(kept, {place: each.rows for place, each in removed.items()}) != of_replaced:
            raise RefusedError(f"the files of version {version.version} do not hold the replaced rows")
        counts, days = self.staging.counts(version.run_id), self.staging.days(version.run_id)
        invalid = self.staging.invalid(version.run_id)
        viewers = self.staging.viewers(version.run_id)
        if StagedCounts(len(counts), len(days), len(invalid), len(viewers)) != staged:
            raise UnavailableError(Part.POSTGRES, f"{len(counts)} of the {staged.video_count} counts are there")
        self.drop_staged()
        self.published.append(version)
        self.counts += [(version.version, each) for each in counts]
        self.days += [(version.version, each) for each in days]
        self.invalid += [(version.version, each) for each in invalid]
        self.viewers += [(version.version, each) for each in viewers]
        if removal is not None:
            self._forget_viewers(removal.before, forgotten)
        self.files |= {path: (version.version, each) for path, each in archived.items()}
        self.replaced |= dict.fromkeys(replaced, version.version)
        self.removals |= {version.version: removal} if removal else {}
        self.findings += [(version.version, *each) for each in findings]
        tally_before = self.tallies[version.version - 1] if version.version > 1 else []
        self.tallies[version.version] = sorted(tally_before if tally is None else tally)
        entry = self.journal[version.run_id]
        self.journal[version.run_id] = replace(entry, state="published", version=version.version, detail=dict(detail))

    def _forget_viewers(self, before: date | None, forgotten: str | None) -> None:
        key = None if forgotten is None else viewer_key(forgotten)
        for index, (number, each) in enumerate(self.viewers):
            is_before = before is not None and date.fromisoformat(each.event_day) < before
            came, went = (
                () if is_before else tuple(viewer for viewer in side if viewer != key)
                for side in (each.came, each.went)
            )
            self.viewers[index] = (number, replace(each, came=came, went=went))

    def recorded_files(self, version: int) -> dict[str, RecordedFile]:
        return {
            path: RecordedFile(added_in, file.status, self.replaced.get(path))
            for path, (added_in, file) in self.files.items()
            if self.replaced.get(path, version) >= version
        }

    def removals_until(self, version: int) -> Removals:
        found = [each for number, each in self.removals.items() if number <= version]
        offsets: dict[str, dict[Place, Content]] = {}
        for each in found:
            for table, places in each.removed.items():
                of_table = {place: rows.offsets for place, rows in places.items()}
                offsets[table] = with_removed(offsets.get(table, {}), of_table)
        return Removals(offsets, max((each.before for each in found if each.before), default=None))

    def recorded_hours(self, paths: Collection[str]) -> dict[str, Hours]:
        return {path: file.hours for path, (_, file) in self.files.items() if path in paths}

    def hours_until(self, version: int, days: Days | None) -> dict[str, Hours]:
        there = {path for path, each in self.recorded_files(version).items() if each.belongs_to(version)}
        files = {path: file.hours for path, (_, file) in self.files.items() if path in there}
        of_day = {
            path: {place: each for place, each in hours.items() if days is None or place.hour.date() in days}
            for path, hours in files.items()
        }
        return {path: hours for path, hours in of_day.items() if hours}

    def record(self, kind: str, found: Reconciliation) -> None:
        self.found.append((kind, found))

    def unreconciled_versions(self) -> list[int]:
        done = max((found.version for kind, found in self.found if kind == "run" or found.days is None), default=0)
        return [each.version for each in self.published if each.version > done]

    def hours_between(self, after: int, until: int) -> dict[str, Hours]:
        compacted = set(self.replaced.values())
        return {
            path: file.hours
            for path, (version, file) in self.files.items()
            if after < version <= until and version not in compacted
        }

    def judged_days(self, after: int, until: int) -> Days:
        entries = [entry for entry in self.journal.values() if after < (entry.version or 0) <= until]
        return tuple(sorted({date.fromisoformat(day) for entry in entries for day in entry.detail["judged_days"]}))

    def noted_groups(self) -> NotedGroups | None:
        return self.noted

    def note_groups(self, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
        snapshot = self.published[version - 1].snapshots[TRAFFIC_OUTCOMES]
        self.noted = NotedGroups(version, content_hash, snapshot, frozenset(groups))

    def open_differences(self) -> list[Reconciliation]:
        still_open: list[Reconciliation] = []
        for kind, found in self.found:
            if not found.is_equal:
                still_open.append(found)
            elif kind == "command":
                still_open = [each for each in still_open if found.days not in (None, each.days)]
        return still_open

    def counts_at(self, version: int) -> dict[str, tuple[int, int, int]]:
        """Return views, billable views and watched seconds of each video."""
        return {
            each.video_id: (each.views, each.billable_views, each.watched_seconds)
            for at, each in self.counts
            if at <= version
        }

    def counts_now(self) -> dict[str, tuple[int, int, int]]:
        newest = self.counts_at(len(self.published))
        return {video_id: counts for video_id, counts in newest.items() if counts != (0, 0, 0)}


@dataclass
class MemoryCatalogue:
    """One dictionary of facts for each catalogue version from 1 on."""

    versions: list[dict[str, VideoFacts]] = field(default_factory=list)
    shares: dict[int, list[tuple[str, str, int, date, date]]] = field(default_factory=dict)
    """Version → video, payee, share, from, to."""
    viewers: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    """Version → payee, their own viewer."""

    def latest_version(self) -> int:
        return len(self.versions)


@dataclass
class MemoryDecisions:
    """The port `LateDecisions`."""

    places: set[LogPlace] = field(default_factory=set)

    def accepted(self) -> frozenset[LogPlace]:
        return frozenset(self.places)


@dataclass
class MemoryTrafficDecisions:
    """The port `TrafficDecisions`; `now` is the database's clock."""

    decided: set[TrafficDecision] = field(default_factory=set)
    now: datetime = datetime(2026, 11, 20, tzinfo=UTC)
    seen_at: dict[TrafficGroup, datetime] = field(default_factory=dict)
    noted: list[tuple[int, str]] = field(default_factory=list)
    expired: set[TrafficDecision] = field(default_factory=set)

    def all(self) -> frozenset[TrafficDecision]:
        return frozenset(self.decided)

    def noted_hash(self) -> str | None:
        return self.noted[-1][1] if self.noted else None

    def note(self, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
        self.noted.append((version, content_hash))
        self.seen_at = {each: self.seen_at.get(each, self.now) for each in groups}

    def expire(self) -> ReleasedGroups:
        waiting = self.seen_at.keys() - {each.group for each in self.decided}
        due = {each for each in waiting if self.seen_at[each] <= self.now - timedelta(days=14)}
        new = {TrafficDecision(each, TrafficOutcome.RELEASED) for each in due}
        self.decided |= new
        self.expired |= new
        soon = [each for each in waiting - due if self.seen_at[each] <= self.now - timedelta(days=10)]
        return ReleasedGroups(len(new), len(soon))


@dataclass
class Found:
    """The ports `ArchiveCheck`, `Comparison` and `BilledViews`, which find what the test sets."""

    files: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    posted: list[BilledVideo] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    billable: Mapping[str, int] = field(default_factory=dict)
    failure: Exception | None = None
    """Raised when the judged events are read."""
    asked: list[str] = field(default_factory=list)
    asked_days: Days | None = None

    def differences(self, version: PublishedVersion) -> list[str]:
        return self.files

    def repair(self, version: PublishedVersion) -> list[str]:
        self.files.clear()
        return ["raw_events"]

    def raw_events(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        self.asked.append("raw")
        return 5, self.raw

    def events(self, version: PublishedVersion, days: Days | None) -> list[str]:
        self.asked.append("judged")
        if self.failure:
            raise self.failure
        return self.judged

    def videos(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        self.asked.append("served")
        return 2, self.served

    def note_groups(self, version: PublishedVersion) -> None:
        self.asked.append(f"groups of version {version.version} noted")

    def billable_views(self, version: PublishedVersion, start_on: date, end_on: date) -> Mapping[str, int]:
        self.asked.append(f"billable of version {version.version}")
        return self.billable

    def billed(self, days: Days | None) -> list[BilledVideo]:
        self.asked_days = days
        return self.posted

    def paid_twice(self) -> list[str]:
        return self.twice


@dataclass
class FoundInChange:
    """The port `ChangeComparison`, which finds what the test sets."""

    raw: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    failure: Exception | None = None
    """Raised when the judged events are read."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    """The versions (after, until] of each comparison that was begun."""

    def raw_events(self, change: VersionChange) -> tuple[int, list[str]]:
        self.asked.append((change.after, change.version.version))
        return 5, self.raw

    def events(self, change: VersionChange) -> list[str]:
        if self.failure:
            raise self.failure
        return self.judged

    def videos(self, change: VersionChange) -> tuple[int, list[str]]:
        return 2, self.served


class QuietMetrics:
    """The port `RunMetrics`: keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def record(self, outcome: str, figures: Mapping[str, float], stage_seconds: Mapping[str, float]) -> None:
        self.outcomes.append(outcome)
