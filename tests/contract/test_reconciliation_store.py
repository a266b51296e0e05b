"""What every store of records and reconciliations guarantees, on the fake and on PostgreSQL."""

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg2
import pytest

from batch_layer.archive.archive_files import ArchivedFile, FileStatus, RecordedFile, by_place
from batch_layer.archive.removals import Removal, Removals, RemovedRows
from batch_layer.errors import RefusedError
from batch_layer.lake.content import Content, Place
from batch_layer.reconciling.ports import ReconciliationStore
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.reconciling.reconciliation import Reconciliation
from batch_layer.versions.ports import RunEntry, StagedCounts, VersionStore
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion
from tests.batch_fakes import MemoryVersions
from tests.billing_postgres import own_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)
ODD = "/warehouse/a\tb\\c\n/1.parquet"
DAY, OTHER_DAY = date(2026, 11, 20), date(2026, 11, 21)


def file(byte_count: int, **hours: Content) -> ArchivedFile:
    places = {"noon": Place(0, NOON), "beside": Place(1, NOON), "tomorrow": Place(0, TOMORROW)}
    status = FileStatus(byte_count, NOON + timedelta(milliseconds=17))
    return ArchivedFile(status, {places[name]: content for name, content in hours.items()})


AT_NOON = Content(3, (2**64 - 1, 5))
BESIDE = Content(1, (7, 8))
ONE = file(10, noon=AT_NOON, beside=BESIDE)
TWO = file(20, tomorrow=Content(2, (0, 2**63)))


@dataclass
class Stores:
    versions: VersionStore
    reconciliations: ReconciliationStore

    def publish(
        self,
        number: int,
        archived: dict[str, ArchivedFile],
        *,
        judged: tuple[str, ...] = (),
        replaced: Collection[str] = (),
        removal: Removal | None = None,
    ) -> None:
        run_id = f"run-{number}"
        self.versions.begin(RunEntry(run_id, "incremental", "running", None, NOON, None))
        version = PublishedVersion(
            version=number,
            run_id=run_id,
            offsets=OffsetVector("video-views", (number,)),
            watermarks=(NOON,),
            snapshots={},
            row_counts={},
            content_hashes={},
            day_rules={},
            published_at=NOON,
        )
        self.versions.publish(version, StagedCounts(), {"judged_days": judged}, archived, replaced, removal)

    def found(self, kind: str, day: date | None, *differences: str, version: int = 1) -> None:
        self.reconciliations.record(kind, Reconciliation(version, None if day is None else (day,), differences))

    @property
    def open(self) -> list[str]:
        return [each.differences[0] for each in self.reconciliations.open_differences()]


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        memory = MemoryVersions()
        yield Stores(memory, memory)
        return
    with (
        own_database(request.getfixturevalue("postgres_url"), with_versions=False) as url,
        closing(PostgresVersionStore(url)) as versions,
        closing(PostgresReconciliations(url)) as reconciliations,
    ):
        yield Stores(versions, reconciliations)


def test_what_a_version_archived_is_read_back_exactly(stores: Stores) -> None:
    stores.publish(1, {ODD: ONE})
    stores.publish(2, {"/two": TWO})
    store = stores.reconciliations
    assert store.recorded_files(2) == {ODD: RecordedFile(1, ONE.status), "/two": RecordedFile(2, TWO.status)}
    assert store.recorded_hours([ODD, "/unknown"]) == {ODD: ONE.hours}
    assert store.hours_until(1, None) == {ODD: ONE.hours}
    assert store.hours_until(2, None) == {ODD: ONE.hours, "/two": TWO.hours}
    assert store.hours_until(2, (DAY, OTHER_DAY)) == {ODD: ONE.hours, "/two": TWO.hours}
    assert store.hours_until(2, (OTHER_DAY,)) == {"/two": TWO.hours}
    assert store.hours_until(2, (date(2026, 11, 19),)) == {}


def test_a_replaced_file_belongs_to_the_versions_before_and_its_rows_are_on_record_in_the_new_ones(
    stores: Stores,
) -> None:
    stores.publish(1, {ODD: ONE})
    stores.publish(2, {"/two": TWO})
    together = ArchivedFile(ONE.status, by_place({ODD: ONE.hours, "/two": TWO.hours}))
    stores.publish(3, {"/both": together}, replaced=[ODD, "/two"])
    store = stores.reconciliations
    assert store.recorded_files(4) == {"/both": RecordedFile(3, ONE.status)}
    assert store.recorded_files(3) == {
        ODD: RecordedFile(1, ONE.status, 3),
        "/two": RecordedFile(2, TWO.status, 3),
        "/both": RecordedFile(3, ONE.status),
    }
    assert store.hours_until(2, None) == {ODD: ONE.hours, "/two": TWO.hours}
    assert store.hours_until(3, None) == {"/both": together.hours}
    assert store.hours_until(3, (date(2026, 11, 19),)) == {}
    assert store.hours_between(0, 3) == {ODD: ONE.hours, "/two": TWO.hours}, "compaction archives nothing new"
    assert store.hours_between(2, 3) == {}


@pytest.mark.parametrize(
    "archived",
    [
        {},
        {"/new": file(10, noon=AT_NOON)},
        {"/new": file(10, noon=AT_NOON), "/more": ONE},
        {"/new": file(10, noon=Content(AT_NOON.row_count + 1, AT_NOON.sums), beside=BESIDE)},
        {"/new": file(10, noon=Content(AT_NOON.row_count, (0, AT_NOON.sums[1])), beside=BESIDE)},
        {"/new": file(10, noon=Content(AT_NOON.row_count, (AT_NOON.sums[0], 4)), beside=BESIDE)},
    ],
)
def test_files_are_not_replaced_by_other_rows(stores: Stores, archived: dict[str, ArchivedFile]) -> None:
    stores.publish(1, {ODD: ONE})
    with pytest.raises(RefusedError, match="do not hold"):
        stores.publish(2, archived, replaced=[ODD])
    assert stores.reconciliations.recorded_files(1) == {ODD: RecordedFile(1, ONE.status)}


GONE = RemovedRows(BESIDE, Content(1, (5, 2**64 - 5)))
LEFT = Content(3, (1, 2))
REJECTED = RemovedRows(Content(2, (3, 3)), Content(2, (8, 8)))
FORGET = Removal("ann", "request 7", None, {"raw_events": {Place(1, NOON): GONE}})
RETENTION = Removal(
    "retention", "kept for 400 days", OTHER_DAY,
    {"raw_events": {Place(0, NOON): RemovedRows(AT_NOON, LEFT)}, "rejected_events": {Place(0, NOON): REJECTED}},
)  # fmt: skip


def test_a_version_may_hold_fewer_rows_if_those_that_left_are_on_record(stores: Stores) -> None:
    stores.publish(1, {ODD: ONE})
    stores.publish(2, {"/new": file(10, noon=AT_NOON)}, replaced=[ODD], removal=FORGET)
    stores.publish(3, {}, replaced=["/new"], removal=RETENTION)
    store = stores.reconciliations
    assert store.hours_until(2, None) == {"/new": file(10, noon=AT_NOON).hours}
    assert store.hours_until(3, None) == {}
    assert store.removals_until(1) == Removals()
    assert store.removals_until(2) == Removals({"raw_events": {Place(1, NOON): GONE.offsets}})
    assert store.removals_until(3) == Removals(
        {
            "raw_events": {Place(1, NOON): GONE.offsets, Place(0, NOON): LEFT},
            "rejected_events": {Place(0, NOON): REJECTED.offsets},
        },
        OTHER_DAY,
    )


@pytest.mark.parametrize(
    "removed",
    [
        {},
        {Place(1, NOON): RemovedRows(Content(2, BESIDE.sums), GONE.offsets)},
        {Place(1, NOON): RemovedRows(Content(1, (7, 9)), GONE.offsets)},
        {Place(0, NOON): GONE},
        {Place(1, NOON): GONE, Place(0, TOMORROW): GONE},
    ],
)
def test_a_record_of_other_rows_than_those_that_left_is_refused(
    stores: Stores, removed: dict[Place, RemovedRows]
) -> None:
    stores.publish(1, {ODD: ONE})
    removal = Removal("ann", "request 7", None, {"raw_events": removed})
    with pytest.raises(RefusedError, match="do not hold"):
        stores.publish(2, {"/new": file(10, noon=AT_NOON)}, replaced=[ODD], removal=removal)
    assert stores.reconciliations.removals_until(2) == Removals()


def test_the_halves_of_hashes_add_up_modulo_2_to_the_64(stores: Stores) -> None:
    values = (2**64 - 1, 2**63, 5)
    high = [ArchivedFile(ONE.status, {Place(0, NOON): Content(1, (value, value))}) for value in values]
    total = Content(3, (2**63 + 4, 2**63 + 4))
    stores.publish(1, {f"/{index}": each for index, each in enumerate(high)})
    stores.publish(2, {"/new": ArchivedFile(ONE.status, {Place(0, NOON): total})}, replaced=["/0", "/1", "/2"])
    assert stores.reconciliations.hours_until(2, None).keys() == {"/new"}


def test_a_version_that_is_refused_puts_nothing_on_record(stores: Stores) -> None:
    stores.publish(1, {})
    with pytest.raises(RefusedError):
        stores.publish(3, {ODD: ONE})
    assert stores.reconciliations.recorded_files(1) == {}


def test_what_versions_archived_and_judged_is_known_by_their_numbers(stores: Stores) -> None:
    stores.publish(1, {ODD: ONE}, judged=("2026-11-18",))
    stores.publish(2, {"/two": TWO}, judged=("2026-11-20", "2026-11-18"))
    stores.publish(3, {}, judged=())
    store = stores.reconciliations
    assert store.hours_between(0, 2) == {ODD: ONE.hours, "/two": TWO.hours}
    assert store.hours_between(1, 3) == {"/two": TWO.hours}
    assert store.hours_between(2, 3) == {}
    assert store.judged_days(0, 3) == store.judged_days(1, 2) == (date(2026, 11, 18), DAY)
    assert store.judged_days(0, 1) == (date(2026, 11, 18),)
    assert store.judged_days(2, 3) == ()


def test_a_difference_stays_open_until_a_whole_comparison_finds_none(stores: Stores) -> None:
    stores.publish(1, {})
    assert stores.open == []
    stores.found("run", None, "a file is gone", "another, too")
    stores.found("command", DAY, "a row is gone")
    assert stores.open == ["a file is gone", "a row is gone"]
    assert stores.reconciliations.open_differences()[0] == Reconciliation(1, None, ("a file is gone", "another, too"))
    stores.found("run", None)
    stores.found("command", OTHER_DAY)
    assert stores.open == ["a file is gone", "a row is gone"], "neither looked at what was found"
    stores.found("command", None)
    assert stores.open == []


def test_a_difference_of_one_day_is_cleared_by_that_day(stores: Stores) -> None:
    stores.publish(1, {})
    stores.found("command", DAY, "a row is gone")
    stores.found("command", OTHER_DAY, "a row is double")
    stores.found("command", DAY)
    assert stores.open == ["a row is double"]
    stores.found("command", OTHER_DAY, "it still is")
    assert stores.open == ["a row is double", "it still is"]


def test_a_version_waits_until_a_run_or_everything_is_compared(stores: Stores) -> None:
    store = stores.reconciliations
    assert list(store.unreconciled_versions()) == []
    for number in (1, 2, 3):
        stores.publish(number, {})
    assert list(store.unreconciled_versions()) == [1, 2, 3]
    stores.found("run", None, version=1)
    assert list(store.unreconciled_versions()) == [2, 3]
    stores.found("command", DAY, version=3)
    assert list(store.unreconciled_versions()) == [2, 3], "one day is not all"
    stores.found("command", None, "a row is gone", version=3)
    assert list(store.unreconciled_versions()) == []
    stores.publish(4, {})
    assert list(store.unreconciled_versions()) == [4]
    stores.found("run", None, "a row is gone", version=4)
    assert list(store.unreconciled_versions()) == [], "what differs is open, and was compared"


def test_nobody_changes_what_was_put_on_record(postgres_url: str) -> None:
    with (
        own_database(postgres_url, with_versions=False) as url,
        closing(PostgresVersionStore(url)) as versions,
        closing(PostgresReconciliations(url)) as reconciliations,
        closing(psycopg2.connect(url)) as connection,
    ):
        stores = Stores(versions, reconciliations)
        stores.publish(1, {ODD: ONE})
        stores.publish(2, {"/new": ONE}, replaced=[ODD])
        stores.found("run", None)
        for table, change in (
            ("archived_files", "byte_count = 9"),
            ("archived_hours", "row_count = 9"),
            ("replaced_files", "version = 1"),
            ("reconciliations", "differences = '[]'"),
        ):
            for statement in (f"DELETE FROM published.{table}", f"UPDATE published.{table} SET {change}"):
                with pytest.raises(psycopg2.DatabaseError, match="append-only"), connection.cursor() as cursor:
                    cursor.execute(statement)
                connection.rollback()


def test_a_path_is_put_on_record_once(postgres_url: str) -> None:
    with (
        own_database(postgres_url, with_versions=False) as url,
        closing(PostgresVersionStore(url)) as versions,
        closing(PostgresReconciliations(url)) as reconciliations,
    ):
        stores = Stores(versions, reconciliations)
        stores.publish(1, {ODD: ONE})
        with pytest.raises(RefusedError, match="version 2"):
            stores.publish(2, {ODD: ONE})
