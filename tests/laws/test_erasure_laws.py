"""What removal does to tables of real Spark and Iceberg: the values are gone, and every count stays and is provable."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import DifferenceError, RefusedError
from batch_layer.gate.spark_gate_sums import Gate
from batch_layer.judging.due_days import ALLOWED_LATENESS
from batch_layer.judging.traffic_rules import TrafficRules
from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables, branch_of
from batch_layer.lake.spark_content_hash import contents
from batch_layer.lake.spark_kept import kept
from batch_layer.lake.tables import (
    ERASABLE_TABLES,
    EVENTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TABLES,
    UNIQUE_VIEWERS,
    VIEWERS,
)
from batch_layer.maintaining.erase import ErasurePorts, ErasureResult, erase_once, retain_once
from batch_layer.maintaining.iceberg_erasure import IcebergErasure
from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep
from batch_layer.maintaining.ports import ChosenRows, RemovalOrder
from batch_layer.reconciling.reconcile import ReconcilePorts, reconcile_once
from batch_layer.reconciling.spark_archive_check import SparkArchiveCheck
from batch_layer.reconciling.spark_change_comparison import SparkChangeComparison
from batch_layer.reconciling.spark_comparison import SparkComparison
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.run.upgrade import upgrade_once
from batch_layer.settled.iceberg_settled_events import events_at_snapshots
from batch_layer.versions.day_changes import viewer_key
from batch_layer.versions.ports import RunEntry
from ingestion.contract.periods import Period
from ingestion.contract.settled import SettledEvent
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion
from tests.batch_fakes import TOPIC, Found
from tests.laws.test_batch_laws import assert_equals_settle
from tests.laws.test_judged_traffic_laws import RULES, outcomes_of, stored_rows, view
from tests.random_logs import FACTS, PARTITIONS, START, no_gate
from tests.spark_fixtures import MemoryRun, MemoryServed, whole_gate
from tests.stored_bytes import files_with
from tests.unique_viewers import ViewersModel, numbers_after, unique_viewers_now

pytestmark = pytest.mark.usefixtures("empty_tables")
VIDEOS = ("-a", "_b", "c")
DAYS = timedelta(days=1)
BROKEN = (
    '{{"user_id": "{0}"',
    '{{"event_id": "x", "user_id": "{0}"}}',
    "{{'userId': '{0}'}}",
    '[{{"user_id":"{0}"}}]',
    '"{{\\"user_id\\": \\"{0}\\"}}"',
    '{{"view_duration": 1, "user_id": "{0}',
)
"""Messages that break the contract and name a viewer: cut off, by another's rules, in a list, in a text."""


class Erasing:
    """Viewers who watch for days, runs in between, and removals of what they sent."""

    def __init__(
        self, spark: SparkSession, reports: Path, seed: int, gate: Gate = no_gate, **rules: TrafficRules
    ) -> None:
        self.spark, self.rng = spark, random.Random(seed)
        self.run = MemoryRun.with_partitions(spark, PARTITIONS, reports, gate, **rules)
        self.run.catalogue.versions = [FACTS]
        self.viewers = [f"viewer-{seed}-{number}-{self.rng.getrandbits(40):x}" for number in range(6)]
        self.forgotten: list[str] = []
        self.sent: dict[str, list[bytes]] = {viewer: [] for viewer in self.viewers}
        self.people = ViewersModel()
        self.now = START
        self.kept = timedelta(days=5)
        self.tables: IcebergErasure = IcebergErasure(spark)

    def watch(self, count: int) -> None:
        """Views of the last three days, many of one viewer and video; what was sent is sent again now and then."""
        for _ in range(count):
            self.now += timedelta(minutes=self.rng.choice([0, 1, 20]))
            viewer = self.rng.choice(self.viewers)
            again = [each for sent in self.sent.values() for each in sent]
            if again and self.rng.random() < 0.15:
                value = self.rng.choice(again)
            elif self.rng.random() < 0.1:
                value = self.rng.choice(BROKEN).format(viewer).encode()
            else:
                value = self.view(viewer, self.now - timedelta(hours=self.rng.choice([0, 0, 1, 5, 23, 24, 40, 72])))
            self.send(viewer, value)

    def view(self, viewer: str, happened: datetime) -> bytes:
        return json.dumps(
            {
                "event_id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
                "video_id": self.rng.choice(VIDEOS),
                "user_id": viewer,
                "session_id": f"s-{viewer}",
                "timestamp": happened.isoformat(),
                "view_duration": self.rng.choice([5, 60, 60, 60]),
                "revenue_eligible": True,
            }
        ).encode()

    def send(self, viewer: str, value: bytes) -> None:
        partition = self.rng.randrange(PARTITIONS)
        # append times of a partition never decrease
        self.run.log.append(partition, self.now, value)
        self.sent.setdefault(viewer, []).append(value)

    def count(self) -> None:
        run_once(self.run.ports(), TOPIC)
        self.people.counted(self.run)

    def forget(self, viewer: str) -> ErasureResult:
        result = erase_once(self.ports(), RemovalOrder("ann", "request 7", viewer=viewer))
        self.people.removed(self.run)
        return result

    def forget_someone(self) -> str:
        viewer = self.viewers.pop(self.rng.randrange(len(self.viewers)))
        self.forget(viewer)
        self.forgotten.append(viewer)
        return viewer

    def retain(self) -> ErasureResult:
        result = retain_once(self.ports())
        self.people.removed(self.run)
        return result

    def needed_from(self) -> tuple[date, str] | None:
        return None

    def ports(self) -> ErasurePorts:
        return ErasurePorts(
            tables=self.tables,
            upkeep=IcebergUpkeep(self.spark),
            needs=self,
            reconcile=self.reconcile_ports(),
            progress=self.run.progress,
            clock=lambda: self.now,
            grace=timedelta(0),
            retention=self.kept,
            allowed_lateness=ALLOWED_LATENESS,
        )

    def reconcile_ports(self) -> ReconcilePorts:
        versions, served = self.run.versions, MemoryServed(self.spark, self.run.versions)
        return ReconcilePorts(
            versions=versions,
            reconciliations=versions,
            archive=SparkArchiveCheck(self.spark, versions),
            comparison=SparkComparison(self.spark, versions, served),
            changes=SparkChangeComparison(self.spark, versions, served),
            ledger=Found(),
            progress=self.run.progress,
        )

    def sweep(self) -> None:
        """Let the next maintenance delete the files of what was removed."""
        upkeep = IcebergUpkeep(self.spark)
        upkeep.repair(self.run.current, self.run.versions.runs_in("gate_failed"))
        upkeep.drop_tags([], self.run.current.version)
        upkeep.expire_snapshots(datetime.now(UTC))

    def check(self, why: object) -> None:
        """The outcomes are those of one count of the whole log, and everything agrees."""
        assert_equals_settle(self.run, self.spark, FACTS, why)
        self.people.check(self.run, why)
        assert reconcile_once(self.reconcile_ports(), None).differences == (), why

    def check_and_rebuild(self, why: object) -> None:
        """The same, and a rebuild finds no difference."""
        self.check(why)
        rebuild_once(self.run.ports(reconcile=self.reconcile_ports()))

    def warehouse(self) -> Path:
        return Path(urlsplit(IcebergTables(self.spark).folder(EVENTS)).path).parent.parent


def events_of(spark: SparkSession, version: PublishedVersion) -> list[SettledEvent]:
    """What a bundle of the month and those beside it would have."""
    return list(events_at_snapshots(spark, version).events(Period(date(2026, 10, 1), date(2027, 1, 1))))


def is_kept(spark: SparkSession, version: PublishedVersion) -> bool:
    """Compare every table that versions keep for good."""
    tables, names = IcebergTables(spark), [name for name in TABLES if name not in ERASABLE_TABLES]
    found = contents({name: tables.at(name, version.snapshots[name]) for name in names})
    return all(
        (content.row_count, content.text) == (version.row_counts[str(name)], version.content_hashes[str(name)])
        for (name, _), content in found.items()
    )


@pytest.mark.parametrize("seed", range(2))
def test_after_any_removals_and_runs_everything_is_as_one_count_of_the_whole_log(
    spark: SparkSession, tmp_path: Path, seed: int
) -> None:
    here = Erasing(spark, tmp_path, seed)
    here.watch(60)
    here.count()
    for number, step in enumerate(here.rng.sample(["forget", "retain", "forget"], 3)):
        here.now += 2 * DAYS
        here.watch(40)
        if step == "forget":
            here.count()
            here.forget_someone()
        else:
            here.retain()  # beside events that no run has counted yet
        here.watch(20)
        here.count()
        here.check(f"seed {seed}, step {number}: {step}")
    assert here.run.versions.removals, "something was removed"
    assert here.run.current.row_counts[RAW_EVENTS] < sum(here.run.current.offsets.ends)
    here.sweep()
    here.check_and_rebuild(f"seed {seed}, when the files are gone")
    assert [is_kept(spark, each) for each in here.run.versions.published] == [True] * here.run.current.version
    # what a forgotten viewer's player sends again is kept like anything new; nothing else is left of them
    sent_again = IcebergTables(spark).newest(VIEWERS).where(F.col("user_id").isin(here.forgotten))
    for row in sent_again.select("user_id").distinct().collect():
        here.forget(row.user_id)
    here.sweep()
    assert {viewer: files_with(here.warehouse(), viewer) for viewer in here.forgotten} == {
        viewer: [] for viewer in here.forgotten
    }


def test_what_is_left_of_a_forgotten_viewer_is_nothing_in_any_file(spark: SparkSession, tmp_path: Path) -> None:
    here = Erasing(spark, tmp_path, 11)
    here.watch(60)
    here.count()
    here.watch(20)
    here.count()
    viewer, before = here.viewers[0], here.run.current
    for text in BROKEN:
        here.send(viewer, text.format(viewer).encode())
    here.count()
    there = files_with(here.warehouse(), viewer[:16])
    assert {path.suffix for path in there} == {".parquet"}, "lists of files have no bounds of values"
    assert {path.relative_to(here.warehouse()).parts[0] for path in there} == set(ERASABLE_TABLES)
    counted = here.run.current
    settled = events_of(spark, counted)
    result = here.forget(viewer)
    assert result.version == counted.version + 1
    assert min(result.removed[name] for name in ERASABLE_TABLES) > 0
    assert result.removed[RAW_EVENTS] == result.removed[VIEWERS] + result.removed[REJECTED_EVENTS]
    now = here.run.current
    unchanged = [name for name in TABLES if name not in ERASABLE_TABLES]
    assert {name: now.content_hashes[name] for name in unchanged} == {
        name: counted.content_hashes[name] for name in unchanged
    }
    assert now.offsets == counted.offsets
    assert files_with(here.warehouse(), viewer), "until the next maintenance the files are there"
    here.sweep()
    assert files_with(here.warehouse(), viewer) == []
    assert files_with(here.warehouse(), viewer[:16]) == []
    assert files_with(here.warehouse(), here.viewers[1]), "others are kept"
    assert [is_kept(spark, each) for each in (before, counted, now)] == [True] * 3
    assert not any(viewer in str(each) for each in here.run.versions.removals.values())
    later = events_of(spark, counted)
    assert [replace(each, message_sha256=None) for each in later] == [
        replace(each, message_sha256=None) for each in settled
    ], "a bundle of the old version has the same events"
    lost = [each for each in later if each.message_sha256 is None]
    assert len(lost) == result.removed[RAW_EVENTS]
    assert all(each.message_sha256 for each in settled)
    with pytest.raises(RefusedError, match="no event of this viewer is kept"):
        here.forget(viewer)
    with pytest.raises(RefusedError, match="no event of this viewer is kept"):
        here.forget(here.viewers[1][:-1])
    here.check_and_rebuild("afterwards")


@pytest.mark.parametrize("viewer", ["42", 'a "b" \\E é'])
def test_a_viewer_with_a_common_name_takes_no_message_that_only_has_the_word(
    spark: SparkSession, tmp_path: Path, viewer: str
) -> None:
    here = Erasing(spark, tmp_path, 19)
    as_json = json.dumps(viewer)
    of_others = (
        f'{{"user_id": "ann", "view_duration": {as_json}}}',
        f'{{"video_id": {as_json}, "user_id": "ann"',
        f'{{"user_id": "x{as_json[1:]}',
        f'{{"user_id": {as_json[:-1]}x"',
        f'{{"old_user_id": {as_json}',
        f'{{"event_id": "user_id", "title": {as_json}}}',
        f"[ {viewer} ]",
    )
    own = (
        f'{{"event_id": "x", "user_id": {as_json}}}',
        f'{{"event_id": "x", "user_id": {json.dumps(viewer, ensure_ascii=False)}',
        f'{{"event_id": "x", "user_id": {as_json}',
    )
    here.send(viewer, here.view(viewer, here.now))
    for text in (*of_others, *own):
        here.send(viewer, text.encode())
    here.count()
    assert here.forget(viewer).removed == {
        RAW_EVENTS: 1 + len(own),
        VIEWERS: 1,
        REJECTED_EVENTS: len(own),
    }
    left = IcebergTables(spark).newest(REJECTED_EVENTS).collect()
    assert {bytes(each.value).decode() for each in left} == set(of_others)


class NeverFinishes(IcebergErasure):
    """Erasure that is cut off as soon as its version is published."""

    def finish_removal(self, version: PublishedVersion) -> None:
        raise UnavailableError(Part.SPARK, "HDFS does not answer")


@pytest.mark.parametrize("erasure", [IcebergErasure, NeverFinishes])
def test_a_branch_that_the_gate_refused_is_not_kept_with_what_was_removed(
    spark: SparkSession, tmp_path: Path, erasure: type[IcebergErasure]
) -> None:
    here = Erasing(spark, tmp_path, 12)
    here.tables = erasure(spark)
    here.watch(30)
    here.count()
    tables, viewer = IcebergTables(spark), here.viewers[0]
    here.run.versions.begin(RunEntry("refused", "incremental", "gate_failed", None, START, None))
    tables.open_branch(branch_of("refused"), here.run.current.snapshots)
    here.forget(viewer)
    branches = {name: tables.table(name).refs().containsKey(branch_of("refused")) for name in TABLES}
    assert branches == {name: name not in ERASABLE_TABLES for name in TABLES}
    here.sweep()
    assert files_with(here.warehouse(), viewer) == []


def test_a_retention_removes_whole_days_and_keeps_what_money_needs(spark: SparkSession, tmp_path: Path) -> None:
    here = Erasing(spark, tmp_path, 13)
    for _ in range(4):
        here.watch(15)
        here.count()
        here.now += 2 * DAYS
    here.watch(5)
    here.count()
    assert here.retain().before == (here.now - here.kept).date()
    tables = IcebergTables(spark)
    received = tables.newest(RAW_EVENTS).select(F.to_date("appended_at")).distinct().collect()
    assert min(row[0] for row in received) >= (here.now - here.kept).date()
    assert here.retain().removed == {}, "nothing is due any more"
    here.check("after a retention")
    here.kept = DAYS
    here.needed_from = lambda: (START.date() + 7 * DAYS, "no billing run covers this day")  # type: ignore[method-assign]
    result = here.retain()
    assert result.before == START.date() + 6 * DAYS
    assert "is kept beyond the retention of 1 days, for no billing run covers this day: 2026-11-27" in result.notes[0]
    assert here.retain().removed == {}
    here.check_and_rebuild("after a shorter one")


def test_a_view_after_its_viewer_was_forgotten_is_that_of_another_viewer(spark: SparkSession, tmp_path: Path) -> None:
    here = Erasing(spark, tmp_path, 14)

    def views(count: int) -> None:
        for _ in range(count):
            value = json.loads(here.view("ben-again", here.now)) | {"video_id": "_b", "view_duration": 60}
            here.send("ben-again", json.dumps(value).encode())
        here.count()

    def billable() -> int:
        events = IcebergTables(spark).at(EVENTS, here.run.current.snapshots[EVENTS])
        return events.where("billability = 'billable'").count()

    views(30)
    cap = billable()
    assert 0 < cap < 30
    views(1)
    assert billable() == cap
    here.forget("ben-again")
    views(30)
    assert billable() == 2 * cap
    assert reconcile_once(here.reconcile_ports(), None).differences == ()
    rebuild_once(here.run.ports(reconcile=here.reconcile_ports()))


def test_a_row_that_somebody_else_removed_is_a_difference_and_no_removal_hides_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    here = Erasing(spark, tmp_path, 15)
    here.watch(30)
    here.count()
    here.forget_someone()
    honest = here.run.current
    assert reconcile_once(here.reconcile_ports(), None).differences == ()
    run_id = "insider"
    here.tables.remove(run_id, honest, here.tables.choose(honest, RemovalOrder("x", "y", viewer=here.viewers[0])))
    head = here.tables._tables.head(RAW_EVENTS, branch_of(run_id))
    here.tables._tables.move_main({RAW_EVENTS: head})
    here.run.versions.published[-1] = replace(honest, snapshots={**honest.snapshots, RAW_EVENTS: head})
    with pytest.raises(DifferenceError, match=r"no longer belongs to the table.*nothing was removed"):
        here.forget(here.viewers[1])
    # even if the record of the archive were changed with it, raw + removed is no longer what was judged
    compared = SparkComparison(spark, here.run.versions, MemoryServed(spark, here.run.versions))
    assert "raw_events has" in compared.events(here.run.current, None)[0]
    with pytest.raises(DifferenceError, match=r"a rebuild of version [0-9]+ differs"):
        rebuild_once(here.run.ports(reconcile=here.reconcile_ports()))


class LosesRows(IcebergErasure):
    """Loses a row more than it was to remove."""

    lost = EVENTS

    def remove(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> None:
        super().remove(run_id, base, chosen)
        rows = kept(self._tables.on_branch(self.lost, branch_of(run_id))).rows
        self._tables.overwrite(self.lost, branch_of(run_id), rows.exceptAll(rows.limit(1)), F.lit(True))


def lost_tables() -> Sequence[str]:
    return (RAW_EVENTS, EVENTS, VIEWERS)


def test_a_removal_that_lost_another_row_is_refused_and_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    here = Erasing(spark, tmp_path, 16)
    here.watch(30)
    here.count()
    tables, before = LosesRows(spark), here.run.current
    here.tables = tables
    for tables.lost in lost_tables():
        with pytest.raises(DifferenceError, match=f"{tables.lost} .*nothing was removed"):
            here.forget(here.viewers[0])
    assert here.run.current == before
    assert {name: IcebergTables(spark).main(name) for name in TABLES} == dict(before.snapshots)


def test_tables_are_upgraded_without_what_was_removed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Erasing(spark, tmp_path, 17, whole_gate)
    here.watch(40)
    here.count()
    here.now += 6 * DAYS
    here.watch(20)
    here.count()
    here.forget_someone()
    here.retain()
    here.check("before the upgrade")
    monkeypatch.setattr(here.run.warehouse, "has_layout", lambda base: False)
    assert upgrade_once(here.run.ports(reconcile=here.reconcile_ports())).state == "published"
    monkeypatch.undo()
    here.check_and_rebuild("after an upgrade")


def test_an_upgrade_counts_each_view_of_somebody_unknown_as_of_another_viewer(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Of a release that counted no viewers: nothing says whose the views were."""
    here = Erasing(spark, tmp_path, 17)
    run = here.run
    for number in range(5):
        run.log.append(0, START, here.view("anna" if number < 3 else "bert", START))
    here.count()
    here.forget("anna")
    spark.sql(f"DROP TABLE {NAMESPACE}.{UNIQUE_VIEWERS} PURGE")
    run.warehouse.tables = IcebergTables(spark)
    less = {name: snapshot for name, snapshot in run.current.snapshots.items() if name != UNIQUE_VIEWERS}
    run.versions.published[-1] = replace(run.current, snapshots=less)
    run.versions.viewers = []
    assert upgrade_once(run.ports()).state == "published"
    views = Counter(row.video_id for row in run.warehouse.tables.newest(EVENTS).collect())
    berts = {row.video_id for row in run.warehouse.tables.newest(EVENTS).where("offset >= 3").collect()}
    annas = Counter(row.video_id for row in run.warehouse.tables.newest(EVENTS).where("offset < 3").collect())
    day = str(START.date())
    expected = {(video_id, day): annas[video_id] + (video_id in berts) for video_id in views}
    assert unique_viewers_now(run) == numbers_after(each for _, each in run.versions.viewers) == expected
    assert {viewer for _, each in run.versions.viewers for viewer in each.came} == {viewer_key("bert")}
    assert reconcile_once(here.reconcile_ports(), None).differences == ()
    rebuild_once(run.ports(reconcile=here.reconcile_ports()))


def test_what_the_rules_of_a_day_found_stays_when_its_viewers_are_forgotten(
    spark: SparkSession, tmp_path: Path
) -> None:
    here = Erasing(spark, tmp_path, 18, traffic_rules=RULES)
    run, noon = here.run, START - 2 * DAYS
    for number in range(12):
        run.log.append(number % 2, START, view(number, "fan" if number < 8 else f"viewer {number}", noon))
    here.count()
    honest = {("counted", "billable"): 6, ("counted", "under_review"): 2, ("invalid_traffic", None): 4}
    assert outcomes_of(run) == honest
    with pytest.raises(RefusedError, match=r"the traffic of 2026-11-18 is judged once more .* 2026-12-24 00:00 UTC"):
        here.forget("fan")
    here.now = run.log.now = START + 40 * DAYS
    here.count()
    assert here.forget("fan").removed[VIEWERS] == 8
    found = stored_rows(run, here.run.current)
    assert len(found) == 6
    # an accepted late event would have its day judged again, without what the fan sent
    run.log.append(2, here.now, view(200, "viewer 11", noon))
    run.decisions.places.add((2, 0))
    here.count()
    assert outcomes_of(run) == honest | {("counted", "traffic_pending"): 1}
    assert stored_rows(run, here.run.current) == found
    # one that begins a day beside them leaves that day without rules: no run could ever judge it
    run.log.append(2, here.now, view(201, "viewer 11", noon + 1 * DAYS))
    run.decisions.places.add((2, 1))
    here.count()
    begun = here.run.current.day_rules[(noon + 1 * DAYS).date()]
    assert (begun.traffic_policy_version, begun.seen) == (0, None)
    honest |= {("counted", "billable"): 7}
    assert outcomes_of(run) == honest | {("counted", "traffic_pending"): 1}
    assert run_once(run.ports(), TOPIC).state == "nothing_new", "no day is due again"
    assert reconcile_once(here.reconcile_ports(), None).differences == ()
    rebuild_once(run.ports(reconcile=here.reconcile_ports()))
    here.kept = 10 * DAYS
    assert here.retain().removed[RAW_EVENTS] == 4
    here.sweep()
    assert reconcile_once(here.reconcile_ports(), None).differences == ()
    rebuild_once(run.ports(reconcile=here.reconcile_ports()))
    assert stored_rows(run, here.run.current) == found
