"""The tables of an earlier release, published again in today's layout: counts, history and rebuild stay right."""

import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import RefusedError
from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables
from batch_layer.lake.spark_content_hash import contents
from batch_layer.lake.spark_kept import kept
from batch_layer.lake.tables import (
    EVENTS,
    TABLES,
    UNIQUE_VIEWERS,
    VIDEO_FACTS,
    VIEWERS,
    VIEWS_BY_DETAIL,
    VIEWS_BY_VIDEO,
    VIEWS_BY_VIDEO_DAY,
)
from batch_layer.reconciling.reconcile import reconcile_once
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.run.upgrade import upgrade_once
from batch_layer.settled.iceberg_settled_views import IcebergSettledViews
from ingestion.contract.counting import LateEvent, judge_alone
from ingestion.contract.event import ViewEvent
from ingestion.contract.periods import Period
from ingestion.contract.traits import Traits, TraitsKey, traits_of
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import DayRules, PublishedVersion
from tests.batch_fakes import ATTESTATION_KEYS, TOPIC
from tests.laws.test_batch_laws import COMPLETION, Crash, CrashingBefore, assert_equals_settle
from tests.laws.test_change_laws import of_change
from tests.random_logs import PARTITIONS, START, decide_some, grow, later_facts, no_gate, random_facts, worlds
from tests.spark_fixtures import TRAITS_KEY, MemoryRun

SEED = 20261128
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC).date(), datetime(2026, 12, 1, tzinfo=UTC).date())
FORMER_EVENTS = """partition int, offset bigint, appended_at timestamp, event_id string, video_id string,
    user_id string, session_id string, happened_at timestamp, event_day date, event_hour timestamp, view_duration int,
    revenue_eligible boolean, country string, device_type string, ad_types array<string>, payload_digest string,
    verdict string, reasons array<struct<code: string, detail: string>>, billability string, policy_version int,
    catalogue_version bigint"""
"""The columns of the events before personal columns lay apart."""
LATER_TABLES = (VIEWERS, VIDEO_FACTS, UNIQUE_VIEWERS)
"""The tables that the earlier release had not."""


def made_former(run: MemoryRun, spark: SparkSession) -> PublishedVersion:
    """Gives the tables the layout of the earlier release, and returns its version in place of the published one."""
    version, tables = run.versions.published[-1], run.warehouse.tables
    persons = tables.at(VIEWERS, version.snapshots[VIEWERS]).select("partition", "offset", "user_id", "session_id")
    rows = kept(tables.at(EVENTS, version.snapshots[EVENTS]).join(persons, ["partition", "offset"], "left"))
    for name in (EVENTS, *LATER_TABLES):
        spark.sql(f"DROP TABLE {NAMESPACE}.{name} PURGE")
    spark.sql(f"CREATE TABLE {NAMESPACE}.{EVENTS} ({FORMER_EVENTS}) USING iceberg PARTITIONED BY (event_day)")
    for name, table in TABLES.items():
        if name not in (EVENTS, *LATER_TABLES):
            listed = ", ".join(f"'{key}'" for key in table.properties)
            spark.sql(f"ALTER TABLE {NAMESPACE}.{name} UNSET TBLPROPERTIES IF EXISTS ({listed})")
    former = {"payload_digest": F.lower(F.hex("payload_digest")), "catalogue_version": F.lit(1).cast("bigint")}
    changed = rows.rows.withColumns(former).drop("id_hash")
    changed.select(*spark.table(f"{NAMESPACE}.{EVENTS}").columns).writeTo(f"{NAMESPACE}.{EVENTS}").append()
    snapshots = {name: snapshot for name, snapshot in version.snapshots.items() if name not in LATER_TABLES}
    run.versions.viewers = []
    tables = run.warehouse.tables = IcebergTables(spark)  # the former one holds the table that was dropped
    snapshots[EVENTS] = tables.main(EVENTS) or 0
    content = contents({EVENTS: tables.at(EVENTS, snapshots[EVENTS])})[EVENTS, None]
    days = sorted(version.day_rules)
    return replace(
        version,
        snapshots=snapshots,
        row_counts={name: version.row_counts[name] for name in snapshots},
        content_hashes={name: version.content_hashes[name] for name in snapshots} | {EVENTS: content.text},
        # a day kept the catalogue by which it was last judged
        day_rules={day: DayRules(1, 1 if number % 2 else 0) for number, day in enumerate(days)},
    )


def made_without(run: MemoryRun, spark: SparkSession, missing: Mapping[str, Collection[str]]) -> PublishedVersion:
    """Takes columns out of tables (table → columns), and returns the version of them like `made_former`."""
    version, tables = run.versions.published[-1], run.warehouse.tables
    for name, gone in missing.items():
        rows, table = kept(tables.at(name, version.snapshots[name]).drop(*gone)).rows, TABLES[name]
        columns = ", ".join(f"{each.name} {each.type}" for each in table.columns if each.name not in gone)
        spark.sql(f"DROP TABLE {NAMESPACE}.{name} PURGE")
        spark.sql(f"CREATE TABLE {NAMESPACE}.{name} ({columns}) USING iceberg PARTITIONED BY ({table.partitioning})")
        rows.writeTo(f"{NAMESPACE}.{name}").append()
    tables = run.warehouse.tables = IcebergTables(spark)
    snapshots = {name: tables.main(name) or 0 for name in missing}
    found = {name: contents({name: tables.at(name, snapshots[name])})[name, None].text for name in missing}
    return replace(
        version, snapshots={**version.snapshots, **snapshots}, content_hashes={**version.content_hashes, **found}
    )


def seen_of(spark: SparkSession, version: PublishedVersion) -> Sequence[object]:
    """What billing and reviewers read of a version."""
    views = IcebergSettledViews(spark, version, tuple)
    totals = spark.read.option("versionAsOf", version.snapshots[VIEWS_BY_VIDEO]).table(f"{NAMESPACE}.{VIEWS_BY_VIDEO}")
    return [
        views.open_review_items(NOVEMBER),
        sorted((each.partition, each.offset, each.first_place) for each in views.conflicts(NOVEMBER)),
        sorted((each.partition, each.offset) for each in views.late_events(NOVEMBER)),
        views.contradictions(NOVEMBER),
        sorted(map(tuple, totals.collect())),
    ]


CRASH_POINTS = [
    ("warehouse", "rewrite", True),
    ("warehouse", "tag", True),
    ("versions", "publish", False),
]


@pytest.fixture
def former(spark: SparkSession, empty_tables: None, tmp_path: Path) -> MemoryRun:
    """A run whose only version has the tables of the earlier release."""
    rng = random.Random(SEED)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path)
    among = worlds(rng, 16)
    run.catalogue.versions = [random_facts(rng, among)]
    grow(run, rng, among, 150)
    decide_some(run, rng)
    assert run_once(run.ports(), TOPIC).state == "published"
    run.versions.published = [made_former(run, spark)]
    run.catalogue.versions.append(later_facts(rng, among, run.catalogue.versions))
    return run


def test_an_upgrade_keeps_reach_and_history_and_a_crash_at_any_step_leaves_the_former_version(
    spark: SparkSession, former: MemoryRun
) -> None:
    run, rng = former, random.Random(SEED)
    before = run.versions.published[0]
    seen = seen_of(spark, before)
    grow(run, rng, worlds(rng, 4), 10)
    for work in (lambda: run_once(run.ports(), TOPIC), lambda: rebuild_once(run.ports())):
        with pytest.raises(RefusedError, match=r"version 1 has the tables of an earlier release; run .*batch upgrade"):
            work()
    for port, method, after in CRASH_POINTS:
        with pytest.raises((Crash, UnavailableError)):
            upgrade_once(run.ports(**{port: CrashingBefore(getattr(run, port), method, after=after)}))
        assert run.versions.published == [before], method
    assert seen_of(spark, before) == seen, "also after the columns of the tables have changed"
    result = upgrade_once(run.ports())
    assert (result.state, result.version, result.archived_count) == ("published", 2, 0)
    now = run.versions.published[-1]
    assert (now.offsets, now.watermarks, now.event_contracts) == (
        before.offsets,
        before.watermarks,
        before.event_contracts,
    )
    assert now.snapshots.keys() == TABLES.keys()
    assert {rules.catalogue_version for rules in now.day_rules.values()} == {2}
    assert_equals_settle(run, spark, run.catalogue.versions[-1], SEED)
    assert rebuild_once(run.ports()).state == "equal"
    assert upgrade_once(run.ports()).state == "nothing_new"
    # later runs go on from there, and the version before the upgrade is read as it was
    run.catalogue.versions.append(later_facts(rng, worlds(random.Random(SEED), 16), run.catalogue.versions))
    decide_some(run, rng)
    assert run_once(run.ports(), TOPIC).state == "published"
    assert_equals_settle(run, spark, run.catalogue.versions[-1], SEED)
    assert rebuild_once(run.ports()).state == "equal"
    assert seen_of(spark, before) == seen
    assert run.versions.runs_in("running") == []


def traits_now(run: MemoryRun) -> dict[tuple[int, int], Traits]:
    version = run.versions.published[-1]
    rows = run.warehouse.tables.at(VIEWERS, version.snapshots[VIEWERS]).collect()
    return {(row.partition, row.offset): Traits(**{name: row[name] for name in Traits._fields}) for row in rows}


def traits_expected(run: MemoryRun) -> dict[tuple[int, int], Traits]:
    ends = run.versions.published[-1].offsets.ends
    found = {}
    for message in run.log.all():
        judged = judge_alone(message.received.decoded, message.appended_at)
        event = judged.event if isinstance(judged, LateEvent) else judged
        if message.offset < ends[message.partition] and isinstance(event, ViewEvent):
            began = event.timestamp - datetime(1970, 1, 1, tzinfo=UTC)
            found[message.partition, message.offset] = traits_of(event, message.value, began.days, TRAITS_KEY)
    return found


@pytest.mark.usefixtures("empty_tables")
def test_tables_without_some_of_todays_columns_are_those_of_an_earlier_release(
    spark: SparkSession, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate)
    among = worlds(rng, 8)
    run.catalogue.versions = [random_facts(rng, among)]
    grow(run, rng, among, 60)
    decide_some(run, rng)
    assert run_once(run.ports(), TOPIC).state == "published"
    assert traits_now(run) == traits_expected(run)
    assert rebuild_once(run.ports()).state == "equal"
    assert upgrade_once(run.ports()).state == "nothing_new"
    run.versions.published = [made_without(run, spark, {VIEWERS: Traits._fields})]
    for work in (lambda: run_once(run.ports(), TOPIC), lambda: rebuild_once(run.ports())):
        with pytest.raises(RefusedError, match=r"version 1 has the tables of an earlier release"):
            work()
    with pytest.raises((Crash, UnavailableError)):
        upgrade_once(run.ports(warehouse=CrashingBefore(run.warehouse, "rewrite", after=True)))
    assert upgrade_once(run.ports()).state == "published", "the table has the columns, and the version has not"
    assert traits_now(run) == traits_expected(run)
    assert rebuild_once(run.ports()).state == "equal"
    grow(run, rng, among, 20)
    decide_some(run, rng)
    assert run_once(run.ports(), TOPIC).state == "published"
    assert traits_now(run) == traits_expected(run), "also of late events that were moved to their own day"
    run.warehouse._keys = BatchKeys(TraitsKey(b"another key, by mistake or theft"), ATTESTATION_KEYS)
    grow(run, rng, among, 5)
    for work in (lambda: run_once(run.ports(), TOPIC), lambda: rebuild_once(run.ports())):
        with pytest.raises(RefusedError, match=r"^VIEWLEDGER_TRAITS_KEY is another key .*: [0-9a-f]{16} instead of"):
            work()


@pytest.mark.usefixtures("empty_tables")
def test_an_upgrade_sums_what_the_release_of_before_did_not_of_every_view(spark: SparkSession, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path)
    among = worlds(rng, 8)
    run.catalogue.versions = [random_facts(rng, among)]
    grow(run, rng, among, 120)
    run.log.append(0, START, unwatched(START))
    decide_some(run, rng)
    assert run_once(run.ports(), TOPIC).state == "published"
    tables = (VIEWS_BY_DETAIL, VIEWS_BY_VIDEO_DAY, VIEWS_BY_VIDEO)
    missing = {name: ["watched_seconds", *COMPLETION] for name in tables}
    run.versions.published = [made_without(run, spark, {**missing, EVENTS: ["quartile"]})]
    run.versions.counts = [(at, replace(each, watched_seconds=0)) for at, each in run.versions.counts]
    unsummed = [(day, [replace(cell, watched_seconds=0) for cell in day.cells]) for _, day in run.versions.days]
    nothing = dict.fromkeys(COMPLETION, 0)
    run.versions.days = [(1, replace(day, watched_seconds=0, cells=cells, **nothing)) for day, cells in unsummed]
    assert reconcile_once(run.ports().reconcile, None).differences == (), "before the upgrade there is nothing to sum"
    with pytest.raises(RefusedError, match=r"version 1 has the tables of an earlier release"):
        run_once(run.ports(), TOPIC)
    assert upgrade_once(run.ports()).state == "published"
    assert_equals_settle(run, spark, run.catalogue.versions[-1], SEED)
    summed = {(each.video_id, str(each.event_day)) for at, each in run.versions.days if at == 2}
    viewed = {(day.video_id, str(day.event_day)) for day, _ in unsummed if day.views}
    assert ("unwatched", str(START.date())) in viewed
    assert summed == viewed, "each day of a video has its sum from then on, also where it is zero"
    assert {each.video_id for at, each in run.versions.counts if at == 2} == {video_id for video_id, _ in viewed}
    assert of_change(spark, run.versions, 0) == of_change(spark, run.versions, 1) == []
    assert reconcile_once(run.ports().reconcile, None).differences == ()
    assert rebuild_once(run.ports()).state == "equal"
    grow(run, rng, among, 30)
    assert run_once(run.ports(), TOPIC).state == "published"
    assert_equals_settle(run, spark, run.catalogue.versions[-1], SEED)


def unwatched(at: datetime) -> bytes:
    """A view of zero seconds."""
    fields = {
        "event_id": "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b",
        "video_id": "unwatched",
        "user_id": "u",
        "session_id": "s",
        "timestamp": at.isoformat(),
        "view_duration": 0,
        "revenue_eligible": True,
    }
    return json.dumps(fields).encode()
