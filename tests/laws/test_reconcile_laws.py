"""Whatever is changed in the archive, the tables, the served counts or the ledger is found and named."""

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.errors import DifferenceError
from batch_layer.judging.spark_traffic_groups import groups_of
from batch_layer.lake.content import Place
from batch_layer.lake.iceberg_tables import NAMESPACE
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, TABLES, TALLY, TRAFFIC_OUTCOMES, VIEWS_BY_VIDEO
from batch_layer.reconciling.ports import NotedGroups
from batch_layer.reconciling.reconcile import ReconcilePorts, reconcile_once
from batch_layer.reconciling.reconciliation import Days, Reconciliation
from batch_layer.reconciling.spark_archive_check import SparkArchiveCheck
from batch_layer.reconciling.spark_change_comparison import SparkChangeComparison
from batch_layer.reconciling.spark_comparison import SparkComparison
from batch_layer.run.ports import Branch, DerivedPiece, PieceContents
from batch_layer.run.run import run_once
from batch_layer.versions.ports import StagedCounts, VideoCount
from ingestion.contract.settled import BilledVideo
from tests.batch_fakes import TOPIC, MemoryVersions
from tests.random_logs import START, grow, no_gate, plain_world
from tests.spark_fixtures import MemoryRun, MemoryServed

PARTITIONS = 3
DAY = START.date()
YEAR = (date(2026, 1, 1), date(2027, 1, 1))
"""Every event of the log happened in it."""
VIDEOS = ("-a", "_b", "c")
PIECES_MAX = 8
"""More than the test session's Spark divides the counts into."""


@dataclass
class MemoryLedger:
    """The port `BilledViews`."""

    posted: list[BilledVideo] = field(default_factory=list)

    def billed(self, days: Days | None) -> list[BilledVideo]:
        return [each for each in self.posted if days is None or any(each.start_on <= day < each.end_on for day in days)]

    def paid_twice(self) -> list[str]:
        return []


class History:
    """Two published versions, and ways to change them secretly."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark = spark
        self.run = MemoryRun.with_partitions(spark, PARTITIONS, folder, no_gate)
        self.rng = random.Random(51)
        self.worlds = [plain_world(self.rng, 40)]
        for _ in range(2):
            grow(self.run, self.rng, self.worlds, 40)
            run_once(self.run.ports(), TOPIC)
        self.version = self.run.versions.published[-1]
        row = self.run.warehouse.tables.at(RAW_EVENTS, self.version.snapshots[RAW_EVENTS]).orderBy("offset").first()
        assert row is not None
        self.one_row = f"partition = {row.partition} AND offset = {row.offset}"
        self.place = Place(row.partition, row.appended_at.replace(minute=0, second=0, microsecond=0, tzinfo=UTC))

    def reconciled(
        self, day: date | None = None, versions: MemoryVersions | None = None, posted: list[BilledVideo] | None = None
    ) -> Reconciliation:
        """What is found; the result is not kept, so that tests do not block each other."""
        store = versions or self.run.versions
        kept = list(store.found)
        served = MemoryServed(self.spark, store)
        ports = ReconcilePorts(
            versions=store,
            reconciliations=store,
            archive=SparkArchiveCheck(self.spark, store),
            comparison=SparkComparison(self.spark, store, served),
            changes=SparkChangeComparison(self.spark, store, served),
            ledger=MemoryLedger(posted or []),
            progress=lambda stage, text: None,
        )
        try:
            result = reconcile_once(ports, day)
            assert store.found[-1] == ("command", result), "what was found is kept"
        finally:
            store.found = kept
        return result

    def differences(self, **changed: object) -> tuple[str, ...]:
        return self.reconciled(**changed).differences  # type: ignore[arg-type]

    def copy(self) -> MemoryVersions:
        """The same versions, to be changed."""
        copied = MemoryVersions()
        copied.published, copied.counts = list(self.run.versions.published), list(self.run.versions.counts)
        copied.files, copied.days = dict(self.run.versions.files), list(self.run.versions.days)
        copied.journal, copied.invalid = dict(self.run.versions.journal), list(self.run.versions.invalid)
        copied.viewers = list(self.run.versions.viewers)
        return copied

    def changed(self, table: str, statement: str) -> MemoryVersions:
        """The versions with one table's snapshot after a statement; `{table}` stands for the table's changed branch."""
        name, branch = f"{NAMESPACE}.{table}", "changed_" + uuid.uuid4().hex[:8]
        self.spark.sql(f"ALTER TABLE {name} CREATE BRANCH {branch} AS OF VERSION {self.version.snapshots[table]}")
        self.spark.sql(statement.format(table=f"{name}.branch_{branch}"))
        refs = {row.name: row.snapshot_id for row in self.spark.table(f"{name}.refs").collect()}
        self.spark.sql(f"ALTER TABLE {name} DROP BRANCH {branch}")
        versions = self.copy()
        versions.published[-1] = replace(self.version, snapshots={**self.version.snapshots, table: refs[branch]})
        return versions


@pytest.fixture(scope="module")
def history(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> History:
    spark.catalog.clearCache()
    for name in TABLES:
        spark.sql(f"DROP TABLE IF EXISTS {NAMESPACE}.{name} PURGE")
    return History(spark, tmp_path_factory.mktemp("reports"))


def test_an_honest_history_is_equal_on_every_day(history: History) -> None:
    found = history.reconciled()
    assert found.differences == ()
    assert (found.version, found.compared) == (2, {"raw_events": 80, "videos": 3, "billed_videos": 0})
    of_day = history.reconciled(DAY)
    assert (of_day.is_equal, of_day.compared["raw_events"]) == (True, 80)
    earlier = history.reconciled(date(2026, 11, 18))
    assert (earlier.is_equal, earlier.compared["raw_events"]) == (True, 0), "nothing was received, some views happened"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {table} WHERE ONE",
        "INSERT INTO {table} SELECT * FROM {table} WHERE ONE",
        "UPDATE {table} SET value = X'00' WHERE ONE",
    ],
)
def test_rows_changed_in_the_raw_table_are_named_by_file_partition_and_hour(history: History, statement: str) -> None:
    versions = history.changed(RAW_EVENTS, statement.replace("ONE", history.one_row))
    differences = history.differences(versions=versions)
    assert differences
    assert all(each.startswith("file /") and ", hour 2026-11-20 1" in each for each in differences), differences


def test_an_event_dropped_is_named_by_partition_and_hour(history: History) -> None:
    versions = history.changed(EVENTS, f"DELETE FROM {{table}} WHERE {history.one_row}")
    differences = history.differences(versions=versions)
    assert differences[0].startswith(f"{history.place}: raw_events has "), differences
    assert ", events has " in differences[0]
    assert any("tally has" in each for each in differences)
    assert history.differences(versions=versions, day=date(2026, 10, 1)) == (), "another day is not looked at"
    assert history.differences(versions=versions, day=DAY) != ()


def test_a_changed_tally_is_named_by_partition_and_event_hour(history: History) -> None:
    versions = history.changed(TALLY, "UPDATE {table} SET event_count = event_count + 1 WHERE partition = 2")
    differences = history.differences(versions=versions)
    assert differences[0].startswith("partition 2, hour 2026-1"), differences
    assert ": tally has " in differences[0]


def test_a_changed_total_is_found_and_its_video_named(history: History) -> None:
    versions = history.changed(VIEWS_BY_VIDEO, "UPDATE {table} SET views = views + 1 WHERE video_id = '-a'")
    for day in (None, DAY):
        (difference,) = history.differences(versions=versions, day=day)
        assert difference.startswith("video -a: views_by_video_day has ")
        assert ", views_by_video has " in difference


def test_a_verdict_changed_without_the_counts_is_found(history: History) -> None:
    versions = history.changed(EVENTS, "UPDATE {table} SET verdict = 'duplicate' WHERE verdict = 'counted'")
    differences = [each for each in history.differences(versions=versions) if each.startswith("video")]
    assert [each.split(" has ")[0] for each in differences] == [f"video {name}: events" for name in VIDEOS]


REVIEWED = (
    "INSERT INTO {table} SELECT partition, offset, event_day, 'ann', 'review', 'many', 60 FROM "
    f"{NAMESPACE}.{EVENTS} LIMIT 1"
)


def test_what_is_noted_of_groups_under_review_is_compared_with_the_groups(history: History) -> None:
    versions = history.changed(TRAFFIC_OUTCOMES, REVIEWED)
    snapshot = versions.published[-1].snapshots[TRAFFIC_OUTCOMES]
    (group,) = groups_of(history.run.warehouse.tables.at(TRAFFIC_OUTCOMES, snapshot))
    versions.noted = NotedGroups(2, "another hash", snapshot, frozenset({group}))
    assert history.differences(versions=versions) == ()
    versions.noted = versions.noted._replace(groups=frozenset())
    (difference,) = history.differences(versions=versions)
    assert difference == f"group {group.name} is under review in version 2, and not noted as waiting"
    assert history.differences(versions=versions, day=DAY) == ()
    versions.noted = versions.noted._replace(snapshot=None)
    assert history.differences(versions=versions) == (), "the outcomes of that version are no longer kept"
    content_hash = versions.published[-1].content_hashes[TRAFFIC_OUTCOMES]
    versions.noted = versions.noted._replace(content_hash=content_hash)
    assert history.differences(versions=versions) == (difference,), "those of the current version are equal"
    comparison = SparkComparison(history.spark, versions, MemoryServed(history.spark, versions))
    comparison.note_groups(versions.published[-1])
    assert versions.noted == NotedGroups(2, content_hash, snapshot, frozenset({group}))
    assert history.differences(versions=versions) == ()


@pytest.mark.parametrize("served", [VideoCount("-a", 1, 1, 60), VideoCount("nobody", 1, 0, 0)])
def test_a_changed_served_count_is_found_and_its_video_named(history: History, served: VideoCount) -> None:
    versions = history.copy()
    versions.counts.append((2, served))
    (difference,) = history.differences(versions=versions)
    assert difference.startswith(f"video {served.video_id}: ")
    assert "PostgreSQL has 1 views" in difference


def test_the_ledger_is_compared_with_the_version_it_was_posted_from(history: History) -> None:
    first = history.run.versions.published[0]
    counts = {name: history.run.versions.counts_at(1).get(name, (0, 0, 0))[1] for name in VIDEOS}
    posted = [BilledVideo(first.version, *YEAR, name, views) for name, views in counts.items() if name != "c"]
    posted.append(BilledVideo(first.version, *YEAR, None, sum(counts.values())))
    assert history.reconciled(posted=posted).compared["billed_videos"] == 2
    assert history.differences(posted=posted) == ()
    posted[0] = replace(posted[0], views=posted[0].views + 1)
    (difference,) = history.differences(posted=posted, day=DAY)
    assert difference.startswith("video -a of 2026-01-01/2027-01-01 billed from version 1: events has ")
    assert history.differences(posted=posted, day=date(2025, 10, 1)) == (), "the period does not hold that day"


def remove(path: Path) -> None:
    path.unlink()


def overwrite(path: Path) -> None:
    # its checksum goes too: what is damaged is what a reader gets
    (path.parent / f".{path.name}.crc").unlink(missing_ok=True)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    path.write_bytes(content)


@contextmanager
def hurt(path: Path, how: Callable[[Path], None]) -> Iterator[None]:
    files = [each for each in (path, path.parent / f".{path.name}.crc") if each.exists()]
    kept = {each: each.read_bytes() for each in files}
    try:
        how(path)
        yield
    finally:
        for each, content in kept.items():
            each.write_bytes(content)


@pytest.mark.parametrize("how", [remove, overwrite])
@pytest.mark.parametrize("table", [RAW_EVENTS, EVENTS, VIEWS_BY_VIDEO])
def test_a_lost_or_damaged_file_is_named(history: History, table: str, how: Callable[[Path], None]) -> None:
    path = history.run.warehouse.tables.files(table, history.version.snapshots[table])[0]
    assert_named(history, table, how, path)


@pytest.mark.parametrize("how", [remove, overwrite])
def test_a_lost_or_damaged_file_of_deletes_is_named_though_it_was_read_before(
    history: History, how: Callable[[Path], None]
) -> None:
    paths = history.run.warehouse.tables.files(VIEWS_BY_VIDEO, history.version.snapshots[VIEWS_BY_VIDEO])
    path = next(each for each in paths if each.endswith("-deletes.parquet"))
    rows = history.run.warehouse.tables.at(VIEWS_BY_VIDEO, history.version.snapshots[VIEWS_BY_VIDEO])
    assert rows.collect()
    assert_named(history, VIEWS_BY_VIDEO, how, path)


def assert_named(history: History, table: str, how: Callable[[Path], None], path: str) -> None:
    with hurt(Path(path), how):
        differences = history.differences()
        assert f"file {path} " in differences[-1], differences
        if table == RAW_EVENTS:
            for _ in range(2):
                with pytest.raises(DifferenceError, match=path):
                    run_once(history.run.ports(), TOPIC)
            assert len(history.run.versions.published) == 2
    history.run.versions.found.clear()
    assert history.differences() == (), "and the file put back is equal again, though its time is another"


def test_rows_appended_again_to_the_shown_table_are_named_and_nothing_is_published(history: History) -> None:
    name = f"{NAMESPACE}.{RAW_EVENTS}"
    history.spark.sql(f"INSERT INTO {name} SELECT * FROM {name} WHERE {history.one_row}")
    try:
        (difference,) = history.differences()
        assert " of raw_events was added after publication by no batch run: " in difference
        assert f"{history.place}: recorded no rows, found 1 row " in difference
        with pytest.raises(DifferenceError, match="was added after publication"):
            run_once(history.run.ports(), TOPIC)
    finally:
        assert SparkArchiveCheck(history.spark, history.run.versions).repair(history.version) == [RAW_EVENTS]
        history.run.versions.found.clear()
    assert history.differences() == ()


def test_a_changed_number_of_viewers_is_found_and_its_video_and_day_named(history: History) -> None:
    versions = history.copy()
    number, changed = versions.viewers[0]
    versions.viewers[0] = (number, replace(changed, viewers=changed.viewers + 1))
    (difference,) = history.differences(versions=versions)
    named = f"viewers of video {changed.video_id} on {changed.event_day}: unique_viewers_by_video_day has "
    assert difference.startswith(named)


class LosingRows:
    """The log, of which a record is lost on the way to the files, and one arrives twice."""

    def __init__(self, run: MemoryRun) -> None:
        self._run = run

    def __getattr__(self, name: str) -> object:
        return getattr(self._run.warehouse, name)

    def contents(self, derived: DerivedPiece) -> PieceContents:
        found = self._run.warehouse.contents(derived)
        assert found.differences == ()
        more = next(iter(next(iter(found.archived.values())).hours.values()))
        engine = replace(derived.engine, sent=derived.engine.sent + more)
        return self._run.warehouse.contents(replace(derived, engine=engine))


def test_a_run_that_cannot_read_back_what_it_was_sent_publishes_nothing(history: History) -> None:
    grow(history.run, history.rng, history.worlds, 5)
    with pytest.raises(DifferenceError, match=r"raw_events has gained 5 rows .* and Kafka sent"):
        run_once(history.run.ports(warehouse=LosingRows(history.run)), TOPIC)
    assert len(history.run.versions.published) == 2
    assert history.run.versions.open_differences() == [], "nothing published is touched: the next run may try again"
    assert run_once(history.run.ports(), TOPIC).version == 3


class ServingTooMany:
    """Tables whose first changed video is served with a view too many."""

    def __init__(self, run: MemoryRun) -> None:
        self._run = run

    def __getattr__(self, name: str) -> object:
        return getattr(self._run.warehouse, name)

    def stage_counts(self, branch: Branch) -> StagedCounts:
        staged = self._run.warehouse.stage_counts(branch)
        run_id, staging = branch.run_id, self._run.versions.staging
        first, *others = staging.counts(run_id)
        for piece in range(PIECES_MAX):
            staging.store_counts(run_id, piece, [])
        staging.store_counts(run_id, 0, [replace(first, views=first.views + 1), *others])
        return staged


def test_a_run_compares_what_it_published_and_a_difference_stops_the_next(history: History) -> None:
    versions = history.run.versions
    before = len(versions.published)
    grow(history.run, history.rng, history.worlds, 25)
    ports = history.run.ports(warehouse=ServingTooMany(history.run))
    changes = SparkChangeComparison(history.spark, versions, MemoryServed(history.spark, versions))
    ports = replace(ports, reconcile=replace(ports.reconcile, changes=changes))
    result = run_once(ports, TOPIC)
    assert (result.state, result.version) == ("published", before + 1)
    (difference,) = result.differences
    assert ": views_by_video has " in difference
    assert "PostgreSQL has " in difference
    with pytest.raises(DifferenceError, match="PostgreSQL has "):
        run_once(history.run.ports(), TOPIC)
