"""Laws of the batch layer on random logs, with real Spark and Iceberg and everything else in memory."""

import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import batch_layer.run.spark_events_part
import batch_layer.run.spark_rebuild
from batch_layer.errors import GateFailedError
from batch_layer.judging.batch_keys import Reading
from batch_layer.judging.spark_decode import decode
from batch_layer.lake.iceberg_tables import branch_of
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.tables import EVENTS, TALLY, VIEWS_BY_DETAIL, VIEWS_BY_VIDEO, VIEWS_BY_VIDEO_DAY
from batch_layer.reconciling.spark_videos import COUNTS
from batch_layer.run.ports import DerivedPiece, JudgedPiece
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.run.spark_warehouse import SparkWarehouse
from ingestion.contract.attesting_keys import AttestationCheck, AttestingKeys
from ingestion.contract.counting import Billability, OwnViewer, VideoFacts, quartile_of, settle
from ingestion.contract.day_traffic import NO_TRAFFIC, JudgedTraffic
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.priced_fields import country_by
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.unavailable import Part, UnavailableError
from tests.batch_fakes import ATTESTATION_KEYS, TOPIC
from tests.random_logs import (
    PARTITIONS,
    SALE_ON,
    START,
    World,
    anything,
    cut_somewhere,
    decide_some,
    grow,
    later_facts,
    no_gate,
    worlds,
)
from tests.shipped_policies import shipped_policy_on
from tests.spark_fixtures import MemoryRun
from tests.unique_viewers import unique_viewers_now, viewers_after, viewers_of

COMPLETION = ("length_known_views", "reached_25", "reached_50", "reached_75", "reached_100")


def stored_outcomes(run: MemoryRun, spark: SparkSession) -> dict[tuple[int, int], tuple[object, ...]]:
    version = run.versions.published[-1]
    rows = run.warehouse.tables.at(EVENTS, version.snapshots[EVENTS]).collect()
    return {
        (row.partition, row.offset): (
            row.verdict,
            row.event_hour.replace(tzinfo=UTC) if row.event_hour.tzinfo is None else row.event_hour,
            tuple(reason.code for reason in row.reasons or ()),
            row.billability,
            row.attested,
        )
        for row in rows
    }


def assert_equals_settle(
    run: MemoryRun,
    spark: SparkSession,
    facts: Mapping[str, VideoFacts],
    seed: object,
    policy_for: Callable[[date], CountingPolicy] = shipped_policy_on,
    traffic: JudgedTraffic = NO_TRAFFIC,
) -> None:
    ends = run.versions.published[-1].offsets.ends
    check = AttestationCheck(run.versions.published[-1].attesting_keys or AttestingKeys(), ATTESTATION_KEYS)
    covered = [
        replace(message.received, is_attested=check.is_attested(message.value, message.partition, message.offset))
        for message in run.log.all()
        if message.offset < ends[message.partition]
    ]
    is_attested = {(received.partition, received.offset): received.is_attested for received in covered}
    expected = {
        place: (str(found.verdict), found.event_hour, tuple(reason.code for reason in found.reasons),
                None if found.billability is None else str(found.billability), is_attested[place])
        for place, found in settle(
            covered,
            facts,
            policy_for,
            accepted=run.versions.accepted_until(len(run.versions.published)),
            traffic=traffic,
        ).items()
    }  # fmt: skip
    stored = stored_outcomes(run, spark)
    different = {
        place: (stored.get(place), outcome) for place, outcome in expected.items() if stored.get(place) != outcome
    }
    assert not different, f"seed {seed}: (stored, expected) {different}"
    assert len(stored) == len(expected), f"seed {seed}"
    assert_tables_follow(run, facts, expected, seed)


def assert_tables_follow(run: MemoryRun, facts: Mapping[str, VideoFacts], expected: dict, seed: object) -> None:
    """The derived tables, the tally and the served counts are sums over the expected outcomes."""
    version, tables = run.versions.published[-1], run.warehouse.tables
    counted = {
        place: run.log.messages[place[0]][place[1]].received.decoded
        for place, out in expected.items()
        if out[0] == "counted"
    }
    views = Counter(event.video_id for event in counted.values())
    billable = Counter(counted[place].video_id for place, out in expected.items() if out[3] == Billability.BILLABLE)
    seconds: Counter[str] = Counter()
    for event in counted.values():
        seconds[event.video_id] += event.view_duration
    counts = {video_id: (count, billable[video_id], seconds[video_id]) for video_id, count in views.items()}
    totals = tables.at(VIEWS_BY_VIDEO, version.snapshots[VIEWS_BY_VIDEO]).collect()
    assert {row.video_id: (row.views, row.billable_views, row.watched_seconds) for row in totals} == counts, (
        f"seed {seed}"
    )
    assert run.versions.counts_now() == counts, f"seed {seed}"
    cells = cells_of(counted, expected)
    assert cells_now(run) == cells, f"seed {seed}"
    invalid: Counter[tuple[str, str, str]] = Counter()
    for place, out in expected.items():
        if out[0] == "invalid_traffic":
            event = run.log.messages[place[0]][place[1]].received.decoded
            invalid[event.video_id, str(event.timestamp.astimezone(UTC).date()), str(CLASS_OF_CODE[out[2][0]])] += 1
    assert invalid_now(run) == invalid, f"seed {seed}"
    assert_sums_follow(run, cells, completion_of(counted.values(), facts), seed)
    assert_viewers_follow(run, counted.values(), seed)
    tally = tables.at(TALLY, version.snapshots[TALLY]).collect()
    by_verdict: Counter[str] = Counter()
    for row in tally:
        by_verdict[row.verdict] += row.event_count
    assert by_verdict == Counter(out[0] for out in expected.values()), f"seed {seed}"
    assert sum(by_verdict.values()) == sum(version.offsets.ends), f"seed {seed}"


def assert_sums_follow(run: MemoryRun, cells: dict, completion: Counter[tuple[str, ...]], seed: object) -> None:
    """The tables of views add up to the expected cells, and to how far their viewers got."""
    version, tables = run.versions.published[-1], run.warehouse.tables
    places = ("video_id", "event_day", "country", "device_type")
    expected = Counter(completion)
    for (video_id, day, _, country, device_type), sums in cells.items():
        for name, value in zip(COUNTS, sums, strict=True):
            expected[video_id, day, country, device_type, name] += value
    for table, keys in ((VIEWS_BY_DETAIL, places), (VIEWS_BY_VIDEO_DAY, places[:2]), (VIEWS_BY_VIDEO, places[:1])):
        sums_of: Counter[tuple[str, ...]] = Counter()
        for (*place, name), value in expected.items():
            sums_of[(*place[: len(keys)], name)] += value
        found: Counter[tuple[str, ...]] = Counter()
        for row in tables.at(table, version.snapshots[table]).collect():
            for name in (*COUNTS, *COMPLETION):
                found[(*(str(row[key]) for key in keys), name)] += row[name]
        assert +found == +sums_of, f"seed {seed}: {table}"


def completion_of(counted: Iterable[Any], facts: Mapping[str, VideoFacts]) -> Counter[tuple[str, ...]]:
    """Return by video, day, country, device and measure how many of the counted events reached it."""
    found: Counter[tuple[str, ...]] = Counter()
    for event in counted:
        quartile = quartile_of(event, facts.get(event.video_id, VideoFacts()))
        day = str(event.timestamp.astimezone(UTC).date())
        device_type = "unknown" if event.device_type is None else event.device_type
        place = (event.video_id, day, country_by(NEWEST, event), device_type)
        for name in () if quartile is None else COMPLETION[: 1 + quartile]:
            found[(*place, name)] += 1
    return found


def assert_viewers_follow(run: MemoryRun, counted: Iterable[Any], seed: object) -> None:
    """The viewers are those of the counted events; of removed ones `ViewersModel` has the law."""
    if run.versions.removals:
        return
    viewers = viewers_of(counted)
    assert viewers_after(each for _, each in run.versions.viewers) == viewers, f"seed {seed}"
    assert unique_viewers_now(run) == {place: len(each) for place, each in viewers.items()}, f"seed {seed}"


def cells_now(run: MemoryRun) -> dict[tuple[object, ...], tuple[int, int, int]]:
    """What all versions' day changes add up to; each day's sums are those of its cells."""
    cells: dict[tuple[object, ...], tuple[int, int, int]] = {}
    for _, day in run.versions.days:
        assert day.views == sum(cell.views for cell in day.cells)
        assert day.billable_views == sum(cell.billable_views for cell in day.cells)
        assert day.watched_seconds == sum(cell.watched_seconds for cell in day.cells)
        for cell in day.cells:
            place = (day.video_id, str(day.event_day), cell.quarter, cell.country, cell.device_type)
            views, billable, seconds = cells.get(place, (0, 0, 0))
            cells[place] = (views + cell.views, billable + cell.billable_views, seconds + cell.watched_seconds)
    return {place: counts for place, counts in cells.items() if counts != (0, 0, 0)}


def invalid_now(run: MemoryRun) -> Counter[tuple[str, str, str]]:
    """What all versions' changes of invalid traffic add up to."""
    found: Counter[tuple[str, str, str]] = Counter()
    for _, each in run.versions.invalid:
        found[each.video_id, str(each.event_day), each.invalid_class] += each.events
    assert min(found.values(), default=0) >= 0
    return +found


def cells_of(counted: dict, expected: dict) -> dict[tuple[object, ...], tuple[int, int, int]]:
    """The same from the counted events themselves."""
    cells: dict[tuple[object, ...], tuple[int, int, int]] = {}
    for place, event in counted.items():
        happened = event.timestamp.astimezone(UTC)
        cell = (
            event.video_id,
            happened.date().isoformat(),
            happened.hour * 4 + happened.minute // 15,
            country_by(NEWEST, event),
            "unknown" if event.device_type is None else event.device_type,
        )
        views, billable, seconds = cells.get(cell, (0, 0, 0))
        is_billable = expected[place][3] == Billability.BILLABLE
        cells[cell] = (views + 1, billable + is_billable, seconds + event.view_duration)
    return cells


def first_run(spark: SparkSession, rng: random.Random, folder: Path, among: list[World]) -> MemoryRun:
    """Publishes a version of one message."""
    run = MemoryRun.with_partitions(spark, PARTITIONS, folder, no_gate)
    run.catalogue.versions = [FACTS]
    grow(run, rng, among, 1)
    assert run_once(run.ports(), TOPIC).state == "published"
    return run


class Crash(BaseException):
    """Stands for the end of the process: nothing catches it on the way."""


class CrashingBefore:
    """A port that ends the process before one of its methods does anything, or right after it."""

    def __init__(self, port: object, method: str, *, after: bool) -> None:
        self._port, self._method, self._after = port, method, after
        # one of the points stands for a server that goes away: the run ends in order, and its traces stay too
        self._ending = UnavailableError(Part.HDFS, "HDFS is away") if method == "derive" else Crash()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name != self._method:
            return found

        def crashing(*args: Any, **named: Any) -> None:
            if self._after:
                found(*args, **named)
            raise self._ending

        return crashing


CRASH_POINTS = [
    ("warehouse", "open_branch", True),
    ("warehouse", "derive", True),
    ("warehouse", "tag", True),
    ("versions", "publish", False),
    ("versions", "publish", True),
    ("speed", "prune", False),
]
"""Where each kind of trace is left: branches, tags, a version whose main was not moved, old segments."""


@pytest.mark.usefixtures("empty_tables")
def test_a_run_that_dies_at_any_step_leaves_nothing_that_a_later_run_counts(
    spark: SparkSession, tmp_path: Path
) -> None:
    seed = 31
    rng = random.Random(seed)
    among = worlds(rng, 1, [anything])
    run = first_run(spark, rng, tmp_path, among)
    for port, method, after in CRASH_POINTS:
        grow(run, rng, among, 8)
        before = len(run.versions.published)
        with pytest.raises((Crash, UnavailableError)):
            run_once(run.ports(**{port: CrashingBefore(getattr(run, port), method, after=after)}), TOPIC)
        is_published = (port, method, after) in CRASH_POINTS[4:]
        assert len(run.versions.published) - before == is_published, f"{port}.{method} after={after}"
    grow(run, rng, among, 8)
    assert run_once(run.ports(), TOPIC).state == "published"
    assert run_once(run.ports(), TOPIC).state == "nothing_new"
    assert run.versions.runs_in("running") == []
    assert_equals_settle(run, spark, FACTS, seed)
    version = run.versions.published[-1]
    for name, snapshot in version.snapshots.items():
        refs = spark.table(f"ledger.views.{name}.refs").collect()
        by_name = {row.name: row.snapshot_id for row in refs}
        assert by_name["main"] == snapshot, f"main of {name} shows the published version"
        assert not [ref for ref in by_name if ref.startswith("run_")], f"no branch of {name} is left"


@pytest.mark.usefixtures("empty_tables")
def test_the_gate_refuses_a_tampered_branch_and_nothing_of_it_is_published(spark: SparkSession, tmp_path: Path) -> None:
    rng = random.Random(41)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path)
    among = worlds(rng, 4)
    grow(run, rng, among, 60)
    assert run_once(run.ports(), TOPIC).state == "published", "the gate lets an honest branch pass"
    served = run.versions.counts_now()
    grow(run, rng, among, 30)
    with pytest.raises(GateFailedError) as refusal:
        run_once(run.ports(warehouse=TamperedAfterDerive(run.warehouse, spark)), TOPIC)
    assert len(run.versions.published) == 1
    assert run.versions.counts_now() == served
    entry = list(run.versions.journal.values())[-1]
    assert entry.state == "gate_failed"
    assert run.metrics.outcomes[-1] == "gate_failed"
    report = tmp_path / entry.run_id
    assert json.loads((report / "gate.json").read_text())["success"] is False
    assert "FAILED" in (report / "index.html").read_text()
    day = r"event_hour \d{4}-\d\d-\d\d \d\d:00:00"
    found = [
        re.fullmatch(rf"tally: events, partition \d+, {day}: (\d+) found, (\d+) expected", each)
        for each in refusal.value.failures
    ]
    assert any(each and int(each[1]) > int(each[2]) for each in found), refusal.value.failures
    assert "./viewledger rebuild batch" in str(refusal.value)
    branch = branch_of(entry.run_id)
    assert branch in {row.name for row in spark.table("ledger.views.tally.refs").collect()}, "kept to be looked at"
    # the next run begins from the published version again
    assert run_once(run.ports(), TOPIC).state == "published"
    assert_equals_settle(run, spark, {}, 41)
    grow(run, rng, among, 30)
    with pytest.raises(GateFailedError) as refusal:
        run_once(run.ports(warehouse=WatchedLongerAfterDerive(run.warehouse, spark)), TOPIC)
    sentence = r"views_by_video: watched seconds: [0-9,]+ found, [0-9,]+ expected"
    assert any(re.fullmatch(sentence, each) for each in refusal.value.failures), refusal.value.failures
    assert len(run.versions.published) == 2


class TamperedAfterDerive:
    """The warehouse, with one event too many in the tally of its branch."""

    def __init__(self, warehouse: SparkWarehouse, spark: SparkSession) -> None:
        self._warehouse, self._spark = warehouse, spark

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def derive(self, judged: JudgedPiece) -> DerivedPiece:
        derived = self._warehouse.derive(judged)
        tally: TableChanges = derived.engine.changes[TALLY]
        branch = branch_of(judged.piece.branch.run_id)
        before = self._warehouse.tables.head(TALLY, branch)
        tally.added.limit(1).writeTo(f"ledger.views.tally.branch_{branch}").append()
        more = self._warehouse.tables.between(TALLY, before, self._warehouse.tables.head(TALLY, branch))
        tampered = replace(tally, added=tally.added.unionByName(more))
        return replace(derived, engine=replace(derived.engine, changes={**derived.engine.changes, TALLY: tampered}))


class WatchedLongerAfterDerive(TamperedAfterDerive):
    """The warehouse, with a second too many for each changed total."""

    def derive(self, judged: JudgedPiece) -> DerivedPiece:
        derived = self._warehouse.derive(judged)
        totals: TableChanges = derived.engine.changes[VIEWS_BY_VIDEO]
        longer = totals.added.withColumn("watched_seconds", F.col("watched_seconds") + 1)
        changes = {**derived.engine.changes, VIEWS_BY_VIDEO: replace(totals, added=longer)}
        return replace(derived, engine=replace(derived.engine, changes=changes))


FACTS = {
    "-a-0": VideoFacts(20, (OwnViewer("ann-0"),)),
    "c-0": VideoFacts(None, (OwnViewer("ann-0", to_on=SALE_ON), OwnViewer("ben-0", SALE_ON))),
}


def random_runs(run: MemoryRun, rng: random.Random, among: list[World], *, rounds: int) -> Iterator[int]:
    """Does many small runs of a growing log with all that may change between them; yields after each published one."""
    for number in range(rounds):
        grow(run, rng, among, rng.choice([0, 3, 8, 20]) * len(among) // 2)
        if run.log.all():
            cut_somewhere(run, rng)
            if rng.random() < 0.5:
                decide_some(run, rng, rng.random())
        if rng.random() < 0.5:
            run.catalogue.versions.append(later_facts(rng, among, run.catalogue.versions))
        part_count = rng.choice([1, 1, 2, 3])
        part_offsets = max(1, sum(run.log.highwaters()) // part_count)
        if run_once(run.ports(part_offsets=part_offsets), TOPIC).state == "published":
            yield number


@pytest.mark.usefixtures("empty_tables")
def test_after_any_runs_every_outcome_is_that_of_one_count_and_a_rebuild_finds_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_layer.run.spark_events_part, "decode", with_shared_hashes)
    monkeypatch.setattr(batch_layer.run.spark_rebuild, "decode", with_shared_hashes)
    # this seed has runs of one part and of three, and one of new decisions and a new catalogue alone
    seed = 90
    rng = random.Random(seed)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate)
    # many worlds in few runs: another world costs nearly nothing, another run a hundred queries
    for number in random_runs(run, rng, worlds(rng, 50), rounds=4):
        facts = run.catalogue.versions[-1] if run.catalogue.versions else {}
        assert_equals_settle(run, spark, facts, f"{seed}, run {number}")
        rules = run.versions.published[-1].day_rules.values()
        assert {each.catalogue_version for each in rules} <= {run.catalogue.latest_version()}
    assert rebuild_once(run.ports()).state == "equal", f"seed {seed}"


def with_shared_hashes(raw: DataFrame, reading: Reading) -> DataFrame:
    """Decodes as ever, but half of all ids share three hashes, and half of all viewers: they are still told apart."""
    shared = {name: F.expr(f"if({name} % 2 = 0, pmod({name}, 3), {name})") for name in ("id_hash", "viewer_hash")}
    return decode(raw, reading).withColumns(shared)


def late_value(number: int, appended_at: datetime, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "event_id": str(uuid.UUID(int=number)),
        "video_id": "-a",
        "user_id": "fan",
        "session_id": "s",
        "timestamp": (appended_at - timedelta(days=36)).isoformat(),
        "view_duration": 60,
        "revenue_eligible": True,
    }
    return json.dumps(fields | changes).encode()


@pytest.mark.usefixtures("empty_tables")
def test_decisions_about_late_events_are_counted_once_by_the_next_run_and_pinned_by_its_version(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path)
    for number in (1, 2, 2, 3, 4, 5, 6):
        run.log.append(0, START, late_value(number, START))
    run.log.append(1, START, late_value(7, START, video_id="c"))
    in_time = {"timestamp": (START - timedelta(days=35)).isoformat()}
    run.log.append(1, START, late_value(6, START, **in_time))
    assert run_once(run.ports(), TOPIC).verdicts == {"late_review": 8, "counted": 1}
    run.decisions.places = {(0, offset) for offset in range(7)}
    found = run_once(run.ports(), TOPIC)
    assert (found.state, found.archived_count, found.accepted_count) == ("published", 0, 7), "a decision alone is news"
    assert found.verdicts == {"late_review": 1, "counted": 6, "duplicate": 1, "conflict": 1}
    assert {key: counts[:2] for key, counts in run.versions.counts_now().items()} == {"-a": (6, 5)}, (
        "the day's own cap: four, and one of the day after"
    )
    assert run.versions.published[-1].accepted_late == tuple((0, offset) for offset in range(7))
    assert run.versions.published[-1].offsets == run.versions.published[-2].offsets
    assert_equals_settle(run, spark, {}, 0)
    assert run_once(run.ports(), TOPIC).state == "nothing_new"
    # decided after the version was made: no part of it
    run.decisions.places.add((1, 0))
    assert rebuild_once(run.ports()).state == "equal"
    run.log.append(2, START, late_value(8, START, video_id="c", **in_time))
    assert run_once(run.ports(), TOPIC).accepted_count == 1
    assert_equals_settle(run, spark, {}, 0)
    assert rebuild_once(run.ports()).state == "equal"
