"""What is compacted, and that nothing is published unless it is equal: on ports in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from batch_layer.archive.archive_files import ArchivedFile, FileStatus
from batch_layer.errors import DifferenceError, RefusedError
from batch_layer.lake.content import Content, Place
from batch_layer.maintaining.compact import CompactionPorts, CompactionResult, compact
from batch_layer.maintaining.compaction import FILE_BYTES, CompactionLimits, PartFiles, by_table, chosen
from batch_layer.maintaining.ports import Compacted
from batch_layer.reconciling.reconcile import ReconcilePorts
from batch_layer.stages import Stages
from batch_layer.versions.ports import RunEntry, StagedCounts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion
from tests.batch_fakes import Found, FoundInChange, MemoryVersions

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)
HOUR = Place(0, NOON)
LIMITS = CompactionLimits(debt_max=3, byte_count_max=1_000)
OLD = ArchivedFile(FileStatus(10, NOON), {HOUR: Content(2, (5, 6))})
OTHER_OLD = ArchivedFile(FileStatus(11, NOON), {HOUR: Content(3, (1 << 63, 1))})
NEW = ArchivedFile(FileStatus(19, NOON), {HOUR: Content(5, ((1 << 63) + 5, 7))})


def part(data: int, deletes: int = 0, *, size: int = 100, table: str = "events", day: date | None = DAY) -> PartFiles:
    return PartFiles(table, day, data, deletes, size)


def test_a_part_with_more_files_than_its_rows_need_is_due_and_the_worst_come_first() -> None:
    few, many, deletes = part(4), part(9, day=date(2026, 11, 1)), part(1, 6, day=date(2026, 11, 2))
    assert (few.debt, many.debt, deletes.debt) == (3, 8, 6)
    assert chosen([few, deletes, many], LIMITS) == (many, deletes)
    assert part(8, size=8 * FILE_BYTES).debt == 0
    assert part(8, size=7 * FILE_BYTES + 1).debt == 0


def test_no_more_bytes_are_compacted_than_allowed_and_a_larger_day_alone() -> None:
    parts = [part(50 - each, size=400, day=date(2026, 11, 1 + each)) for each in range(4)]
    assert chosen(parts, LIMITS) == tuple(parts[:2])
    huge = part(60, size=5_000)
    assert chosen([*parts, huge], LIMITS) == (huge,)


def test_the_files_of_a_table_are_the_sums_of_its_parts() -> None:
    found = by_table([part(9, 1, size=7), part(2, size=5, day=None), part(1, table="viewers")], LIMITS)
    events, viewers = found["events"], found["viewers"]
    assert (events.data_file_count, events.delete_file_count, events.byte_count) == (11, 1, 12)
    assert (events.debt, events.due_count, viewers.debt, viewers.due_count) == (10, 1, 0, 0)


def version(number: int) -> PublishedVersion:
    return PublishedVersion(
        version=number, run_id=f"run-{number}", offsets=OffsetVector("video-views", (number,)), watermarks=(NOON,),
        snapshots={"events": number}, row_counts={"raw_events": 5}, content_hashes={"events": "ab"}, day_rules={},
        published_at=NOON, accepted_late=((0, 1),),
    )  # fmt: skip


@dataclass
class World:
    """One published version with two files of raw events, in tables that note what happens to them."""

    versions: MemoryVersions = field(default_factory=MemoryVersions)
    archive: Found = field(default_factory=Found)
    parts: Sequence[PartFiles] = (part(9), part(1, table="raw_events"))
    archived: Mapping[str, ArchivedFile] = field(default_factory=lambda: {"/new": NEW})
    replaced: Sequence[str] = ("/one", "/two")
    differences: Sequence[str] = ()
    away: str = ""
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.versions.begin(RunEntry("run-1", "incremental", "running", None, NOON, None))
        self.versions.publish(version(1), StagedCounts(), {"judged_days": []}, {"/one": OLD, "/two": OTHER_OLD})
        self.versions.begin(RunEntry("m", "maintenance", "running", None, NOON, None))

    def _do(self, step: str) -> None:
        if step == self.away:
            raise UnavailableError(Part.SPARK, "HDFS does not answer")
        self.done.append(step)

    def files(self, snapshots: Mapping[str, int]) -> Sequence[PartFiles]:
        return self.parts

    def rewrite(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> None:
        self._do("rewrite")

    def compare(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> Compacted:
        self._do("compare")
        return Compacted({"events": 2}, self.archived, self.replaced, [part(1)], self.differences)

    def tag(self, number: int, snapshots: Mapping[str, int]) -> None:
        self._do("tag")
        assert (number, len(self.versions.published)) == (2, 1), "what is published is tagged before"

    def finish(self, published: PublishedVersion) -> None:
        self._do("finish")
        assert self.versions.current() == published, "main follows the pointer"

    def compact(self) -> CompactionResult:
        here: Any = self
        reconcile = ReconcilePorts(
            versions=self.versions, reconciliations=self.versions, archive=self.archive, comparison=Found(),
            changes=FoundInChange(), ledger=Found(), progress=lambda stage, text: None,
        )  # fmt: skip
        ports = CompactionPorts(here, reconcile, LIMITS, lambda: NOON)
        stages = Stages(lambda stage, text: None)
        base = self.versions.current()
        assert base is not None
        return compact(ports, stages, "m", base=base, detail={"expired": [7]})


def test_the_version_of_a_compaction_differs_from_its_base_in_its_files_alone() -> None:
    world = World()
    result = world.compact()
    base = version(1)
    assert result.version == replace(base, version=2, run_id="m", snapshots={"events": 2}, accepted_late=())
    assert world.done == ["rewrite", "compare", "tag", "finish"]
    assert world.versions.accepted_until(2) == {(0, 1)}
    assert world.versions.counts == []
    assert (world.versions.journal["m"].state, world.versions.journal["m"].detail["expired"]) == ("published", [7])
    assert world.versions.journal["m"].detail["compacted"] == ["events of 2026-11-20"]
    assert world.versions.unreconciled_versions() == []
    assert world.versions.hours_until(1, None).keys() == {"/one", "/two"}
    assert world.versions.hours_until(2, None).keys() == {"/new"}


def test_when_nothing_is_due_nothing_is_published() -> None:
    world = World(parts=[part(2)])
    assert world.compact().version.version == 1
    assert world.done == []


def test_an_archive_that_differs_from_its_record_is_not_compacted() -> None:
    world = World(archive=Found(files=["file /one of raw_events was changed"]))
    with pytest.raises(DifferenceError, match="file /one of raw_events was changed; nothing is compacted until"):
        world.compact()
    assert world.done == []


@pytest.mark.parametrize(
    ("world", "sentence"),
    [
        (World(differences=["events had 3 rows"]), "events had 3 rows; nothing was compacted"),
        (World(archived={"/new": OLD}), "the record of the archive has 5 rows"),
        (World(archived={"/new": replace(NEW, hours={HOUR: Content(5, (4, 7))})}), "the new files has 5 rows"),
        (World(replaced=["/one"]), "the record of the archive has 2 rows"),
    ],
)
def test_what_differs_from_what_was_there_is_not_published(world: World, sentence: str) -> None:
    with pytest.raises(DifferenceError, match=sentence):
        world.compact()
    assert (world.done, len(world.versions.published)) == (["rewrite", "compare"], 1)


@pytest.mark.parametrize("away", ["rewrite", "compare", "tag"])
def test_a_server_that_goes_away_before_publication_leaves_everything_as_it_was(away: str) -> None:
    world = World(away=away)
    with pytest.raises(UnavailableError):
        world.compact()
    assert len(world.versions.published) == 1


def test_a_server_that_goes_away_after_publication_leaves_the_rest_to_the_next_run() -> None:
    result = World(away="finish").compact()
    assert result.version.version == 2
    assert result.notes == ("main was not moved (HDFS does not answer); the next run does it",)


def test_the_record_itself_refuses_files_with_other_rows() -> None:
    world = World()
    with pytest.raises(RefusedError, match="do not hold"):
        world.versions.publish(version(2), StagedCounts(), {}, {"/new": OLD}, ["/one", "/two"])
