"""The steps of a removal on ports in memory: their order, their refusals, and what is on record."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from batch_layer.archive.archive_files import ArchivedFile, FileStatus
from batch_layer.archive.removals import Removal, Removals, RemovedRows
from batch_layer.errors import DifferenceError, RefusedError
from batch_layer.lake.content import Content, Place
from batch_layer.maintaining.compaction import PartFiles
from batch_layer.maintaining.erase import ErasurePorts, ErasureResult, erase_once, retain_once
from batch_layer.maintaining.ports import ChosenRows, RemovalOrder, Removed
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.reconciling.reconciliation import Reconciliation
from batch_layer.versions.ports import RunEntry, StagedCounts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import DayRules, PublishedVersion, SeenTraffic
from tests.batch_fakes import Found, FoundInChange, MemoryVersions

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLACE = Place(0, NOON.replace(minute=0))
ALL, GONE, OFFSETS = Content(5, (9, 9)), Content(2, (4, 4)), Content(2, (1, 1))
STATUS = FileStatus(10, NOON)
OLD = ArchivedFile(STATUS, {PLACE: ALL})
NEW = ArchivedFile(STATUS, {PLACE: ALL - GONE})
OF_ANN = RemovalOrder("ann", "request 7", viewer="viewer-1")
OLDEST = date(2025, 9, 1)


def version(number: int) -> PublishedVersion:
    return PublishedVersion(
        version=number, run_id=f"run-{number}", offsets=OffsetVector("video-views", (number,)), watermarks=(NOON,),
        snapshots={"raw_events": number}, row_counts={"raw_events": 5, "events": 5},
        content_hashes={"raw_events": ALL.text, "events": ALL.text}, day_rules={}, published_at=NOON,
        accepted_late=((0, 1),),
    )  # fmt: skip


@dataclass
class World:
    """One published version with one file of raw events, of which two rows are to be removed."""

    versions: MemoryVersions = field(default_factory=MemoryVersions)
    archive: Found = field(default_factory=Found)
    chosen: Sequence[PartFiles] = (PartFiles("raw_events", NOON.date(), 1, 0, 10),)
    archived: Mapping[str, ArchivedFile] = field(default_factory=lambda: {"/new": NEW})
    differences: Sequence[str] = ()
    oldest: date | None = OLDEST
    needed: tuple[date, str] | None = None
    away: str = ""
    allowed_lateness: timedelta = timedelta(hours=24)
    done: list[str] = field(default_factory=list)
    orders: list[RemovalOrder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.versions.begin(RunEntry("run-1", "incremental", "running", None, NOON, None))
        self.versions.publish(version(1), StagedCounts(), {"judged_days": []}, {"/old": OLD})

    def _do(self, step: str) -> None:
        if step == self.away:
            raise UnavailableError(Part.SPARK, "HDFS does not answer")
        self.done.append(step)

    def repair(self, current: PublishedVersion, kept_runs: Collection[str]) -> list[str]:
        self._do("repair")
        return []

    def oldest_received(self, base: PublishedVersion) -> date | None:
        return self.oldest

    def needed_from(self) -> tuple[date, str] | None:
        return self.needed

    def choose(self, base: PublishedVersion, order: RemovalOrder) -> ChosenRows:
        self._do("choose")
        self.orders.append(order)
        return ChosenRows(self.chosen)

    def remove(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> None:
        self._do("remove")

    def read_back(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> Removed:
        self._do("read_back")
        removed = {"raw_events": {PLACE: RemovedRows(GONE, OFFSETS)}}
        return Removed({"raw_events": 2}, self.archived, ["/old"], removed, {"raw_events": GONE}, self.differences)

    def tag_removal(self, number: int, snapshots: Mapping[str, int]) -> None:
        self._do("tag_removal")
        assert (number, len(self.versions.published)) == (2, 1), "what is published is tagged before"

    def finish_removal(self, published: PublishedVersion) -> None:
        self._do("finish_removal")
        assert self.versions.current() == published, "main follows the pointer"

    def ports(self) -> ErasurePorts:
        here: Any = self
        reconcile = ReconcilePorts(
            versions=self.versions, reconciliations=self.versions, archive=self.archive, comparison=Found(),
            changes=FoundInChange(), ledger=Found(), progress=lambda stage, text: None,
        )  # fmt: skip
        return ErasurePorts(
            tables=here, upkeep=here, needs=here, reconcile=reconcile, progress=lambda stage, text: None,
            clock=lambda: NOON, grace=timedelta(hours=24), retention=timedelta(days=400),
            allowed_lateness=self.allowed_lateness,
        )  # fmt: skip

    def erase(self) -> ErasureResult:
        return erase_once(self.ports(), OF_ANN)

    def retain(self) -> ErasureResult:
        return retain_once(self.ports())


def test_a_removal_is_a_version_with_fewer_raw_events_and_the_same_counts_and_it_is_on_record() -> None:
    world = World()
    result = world.erase()
    assert world.done == ["repair", "choose", "remove", "read_back", "tag_removal", "finish_removal"]
    assert (result.version, result.removed, result.before) == (2, {"raw_events": 2}, None)
    assert result.files_gone_after == NOON + timedelta(hours=24)
    now = world.versions.current()
    assert now is not None
    assert now == replace(
        version(1), version=2, run_id=now.run_id, snapshots={"raw_events": 2}, accepted_late=(),
        row_counts={"raw_events": 3, "events": 5},
        content_hashes={"raw_events": (ALL - GONE).text, "events": ALL.text},
    )  # fmt: skip
    assert world.versions.removals == {
        2: Removal("ann", "request 7", None, {"raw_events": {PLACE: RemovedRows(GONE, OFFSETS)}})
    }
    assert world.versions.removals_until(1) == Removals()
    assert world.versions.removals_until(2).of("raw_events") == {PLACE: OFFSETS}
    assert world.versions.unreconciled_versions() == []
    assert "viewer-1" not in repr(world.versions.journal)


def test_the_former_versions_are_reconciled_before_anything_is_removed() -> None:
    world = World()
    assert world.versions.unreconciled_versions() == [1]
    world.away = "choose"
    with pytest.raises(UnavailableError):
        world.erase()
    assert world.versions.unreconciled_versions() == []


def test_an_unknown_viewer_is_named_in_no_journal_and_nothing_is_published() -> None:
    world = World(chosen=())
    with pytest.raises(RefusedError, match="no event of this viewer is kept: the name is wrong, or"):
        world.erase()
    assert (world.done, len(world.versions.published)) == (["repair", "choose"], 1)
    assert "viewer-1" not in repr(world.versions.journal)


def test_beside_a_run_or_before_the_first_version_nothing_is_removed() -> None:
    world = World()
    world.versions.is_locked_elsewhere = True
    for remove in (world.erase, world.retain):
        with pytest.raises(RefusedError, match="a batch run or a maintenance is at work; wait for it to end"):
            remove()
    world.versions.is_locked_elsewhere = False
    world.versions.published.clear()
    with pytest.raises(RefusedError, match="nothing is published yet"):
        world.erase()
    assert world.done == []


def test_an_archive_that_differs_from_its_record_is_left_alone() -> None:
    world = World(archive=Found(files=["file /old of raw_events was changed"]))
    with pytest.raises(DifferenceError, match="file /old of raw_events was changed; nothing was removed"):
        world.erase()
    assert world.done == ["repair"]


def test_a_difference_that_is_open_stops_a_removal() -> None:
    world = World()
    world.versions.record("command", Reconciliation(1, None, ("tally has 3",)))
    with pytest.raises(DifferenceError, match="tally has 3; nothing was removed"):
        world.erase()


@pytest.mark.parametrize(
    ("world", "sentence"),
    [
        (World(differences=["events had 3 rows"]), "events had 3 rows; nothing was removed"),
        (World(archived={}), "the record of the archive has 5 rows"),
        (World(archived={"/new": OLD}), "the new files with what was removed has 7 rows"),
    ],
)
def test_what_is_not_the_rest_of_what_was_there_is_not_published(world: World, sentence: str) -> None:
    with pytest.raises(DifferenceError, match=sentence):
        world.erase()
    assert len(world.versions.published) == 1
    assert world.versions.removals == {}


@pytest.mark.parametrize("away", ["repair", "choose", "remove", "read_back", "tag_removal"])
def test_a_server_that_goes_away_before_publication_leaves_everything_as_it_was(away: str) -> None:
    world = World(away=away)
    with pytest.raises(UnavailableError):
        world.erase()
    assert len(world.versions.published) == 1
    assert world.versions.runs_in("running") == []
    world.away = ""
    assert world.erase().version == 2


def test_a_server_that_goes_away_after_publication_leaves_the_rest_to_the_next_run() -> None:
    result = World(away="finish_removal").erase()
    assert result.version == 2
    assert result.notes == ("main was not moved (HDFS does not answer); the next run does it",)


def test_a_retention_removes_31_days_at_once_and_then_what_is_due() -> None:
    world = World()
    result = world.retain()
    assert result.before == date(2025, 10, 2)
    assert world.orders == [RemovalOrder("retention", "kept for 400 days", before=date(2025, 10, 2))]
    later = World(oldest=date(2025, 10, 10))
    assert later.retain().before == date(2025, 10, 16)


@pytest.mark.parametrize("oldest", [None, date(2025, 10, 16), date(2026, 11, 20)])
def test_a_retention_without_anything_due_does_nothing(oldest: date | None) -> None:
    world = World(oldest=oldest)
    assert world.retain() == ErasureResult(1)
    assert world.done == []


@pytest.mark.parametrize(
    ("needed", "before"), [(date(2025, 9, 1), None), (date(2025, 9, 2), None), (date(2025, 9, 3), date(2025, 9, 2))]
)
def test_a_retention_keeps_what_money_that_is_not_final_needs(needed: date, before: date | None) -> None:
    world = World(needed=(needed, "a statement of its period is not final"))
    result = world.retain()
    assert result.before == before
    assert result.notes[0].endswith(
        f"is kept beyond the retention of 400 days, for a statement of its period is not final: {needed}"
    )


def test_a_retention_is_not_held_back_by_what_is_needed_of_later_days() -> None:
    result = World(needed=(date(2026, 10, 1), "no billing run covers this day")).retain()
    assert (result.before, result.notes) == (date(2025, 10, 2), ())


def judged(settled_until: datetime | None, policy_version: int = 1) -> DayRules:
    seen = None if settled_until is None else SeenTraffic(OffsetVector("video-views", (1,)), 1, settled_until)
    return DayRules(1, 1, traffic_policy_version=policy_version, seen=seen)


def with_rules(world: World, rules: Mapping[date, DayRules]) -> World:
    world.versions.published = [replace(version(1), day_rules=rules)]
    world.chosen = [PartFiles("viewers", date(2026, 10, 10), 1, 0, 10), *world.chosen]
    return world


FINAL = datetime(2026, 11, 16, tzinfo=UTC)
"""35 days after 11 October, when all events of this day have come."""


@pytest.mark.parametrize("settled_until", [None, FINAL - timedelta(seconds=1)])
@pytest.mark.parametrize("day", [date(2026, 10, 10), date(2026, 10, 11)])
def test_a_viewer_is_not_forgotten_while_the_rules_of_a_day_still_judge_by_what_they_sent(
    day: date, settled_until: datetime | None
) -> None:
    world = with_rules(World(), {day: judged(settled_until and settled_until - (date(2026, 10, 11) - day))})
    with pytest.raises(RefusedError, match=f"the traffic of {day} is judged once more by what this viewer sent; noth"):
        world.erase()
    assert (world.done, len(world.versions.published)) == (["repair", "choose"], 1)


@pytest.mark.parametrize(
    "rules",
    [
        {date(2026, 10, 10): judged(FINAL), date(2026, 10, 11): judged(FINAL)},
        {date(2026, 10, 9): judged(None), date(2026, 10, 12): judged(None)},
        {date(2026, 10, 10): judged(None, 0)},
    ],
)
def test_a_viewer_is_forgotten_when_the_rules_of_their_days_have_judged_for_the_last_time(
    rules: Mapping[date, DayRules],
) -> None:
    assert with_rules(World(), rules).erase().version == 2


def test_a_retention_keeps_what_the_rules_of_a_day_still_judge() -> None:
    result = with_rules(World(), {date(2025, 9, 10): judged(None)}).retain()
    assert result.before == date(2025, 9, 8)
    assert result.notes[0].endswith("for the traffic of 2025-09-10 is judged once more: 2025-09-09")
