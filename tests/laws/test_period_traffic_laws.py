"""Rules of a period in any runs: what they found is pinned, stays whatever comes later, and a rebuild gets the same."""

import random
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import DifferenceError
from batch_layer.judging import traffic_guard
from batch_layer.judging.spark_traffic_groups import found_sets
from batch_layer.judging.traffic_rules import TrafficPolicyDays
from batch_layer.lake.iceberg_tables import NAMESPACE
from batch_layer.lake.spark_stored import on_days
from batch_layer.lake.tables import TRAFFIC_OUTCOMES
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from billing.rating.preconditions import unjudged_days
from ingestion.contract.counting import Verdict, day_of, settle
from ingestion.contract.event import ViewEvent
from ingestion.contract.offsets import LogPlace
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import findings_hash
from ingestion.contract.traffic_groups import TrafficGroup
from ingestion.contract.traffic_reasons import PERIOD_CODES, PeriodReason
from ingestion.contract.version import PublishedVersion, SeenPeriod
from tests.batch_fakes import TOPIC
from tests.laws.test_judged_traffic_laws import (
    RULED_FROM,
    RULES,
    assert_traffic_is_that_of_one_count,
    busy_viewer,
    decide_groups,
    payee_of,
    stored_rows,
    view,
)
from tests.laws.test_judged_traffic_laws import SENTENCES as OF_DAYS
from tests.random_logs import PARTITIONS, START, anything, cut_somewhere, decide_some, grow, no_gate, one_id, worlds
from tests.shipped_policies import shipped_policy_on
from tests.spark_fixtures import MemoryRun

Row = tuple[object, ...]

MANY = 4
"""Views of a viewer in the weeks before the end of a period, from which on some of them are found."""
DAYS = 28
INVALID, REVIEW = PeriodReason.EVEN_DAYS.code, PeriodReason.CROWD_OF_WEEKS.code
OF_PERIODS = {each.code: each.sentence for each in PeriodReason}


def found_by_spark(rows: DataFrame, payee_viewers: DataFrame, policy_version: int) -> DataFrame:
    """Find some views of those who watched much; the points say how much, and how many payees the viewer is."""
    views = rows.groupBy("user_id").agg(F.count("*").alias("views"))
    payees = payee_viewers.groupBy("user_id").agg(F.count("*").alias("payees"))
    points = F.col("views") + 100 * F.coalesce("payees", F.lit(0))
    is_invalid = F.col("offset") % 2 == 0
    found = rows.join(views.where(F.col("views") >= MANY * policy_version), "user_id").where("offset % 3 > 0")
    return found.join(payees, "user_id", "left").select(
        "partition",
        "offset",
        "event_day",
        F.when(is_invalid, "invalid").otherwise("review").alias("outcome"),
        F.when(is_invalid, INVALID).otherwise(REVIEW).alias("reason"),
        points.cast("int").alias("points"),
    )


RULES_OF_BOTH = replace(
    RULES,
    policies=(TrafficPolicyDays(1, RULED_FROM, DAYS),),
    period_outcomes=found_by_spark,
    sentences=RULES.sentences | OF_PERIODS,
)


def found_by_model(run: MemoryRun, version: PublishedVersion, seen: SeenPeriod) -> dict[LogPlace, Row]:
    """What the rules find on the days of one pass, of events of which nothing else is stored."""
    days = {day for day, each in version.day_rules.items() if each.period == seen}
    below = [each for each in run.log.all() if seen.end.holds((each.partition, each.offset))]
    accepted = run.versions.accepted_until(version.version)
    counted = settle((each.received for each in below), {}, shipped_policy_on, accepted=accepted)
    first_on = min(seen.period.start_on, seen.period.end_on - timedelta(days=DAYS))
    by_viewer: defaultdict[str, list[tuple[LogPlace, ViewEvent]]] = defaultdict(list)
    for each in below:
        event, place = each.received.decoded, (each.partition, each.offset)
        if not isinstance(event, ViewEvent) or counted[place].verdict is not Verdict.COUNTED:
            continue
        if first_on <= day_of(event.timestamp) < seen.period.end_on:
            by_viewer[event.user_id].append((place, event))
    shares = run.catalogue.shares.get(seen.catalogue_version, [])
    payees = Counter(viewer for _, viewer in run.catalogue.viewers.get(seen.catalogue_version, []))
    others = {place for place, row in stored_rows(run, version).items() if row[3] not in PERIOD_CODES}
    found: dict[LogPlace, Row] = {}
    for viewer, views in by_viewer.items():
        for place, event in views if len(views) >= MANY else ():
            day = day_of(event.timestamp)
            if place[1] % 3 and day in days and place not in others:
                outcome = ("invalid", INVALID) if place[1] % 2 == 0 else ("review", REVIEW)
                found[place] = (day, payee_of(shares, event.video_id, day), *outcome, len(views) + 100 * payees[viewer])
    return found


@pytest.mark.usefixtures("empty_tables")
def test_after_any_runs_what_was_found_is_what_the_rules_find_and_a_rebuild_gets_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late events are accepted and people decide after the period was judged; its findings stay."""
    seed = 11
    rng = random.Random(seed)
    given: dict[LogPlace, Row] = {}
    monkeypatch.setattr("tests.laws.test_judged_traffic_laws.GIVEN", given)
    monkeypatch.setattr(traffic_guard, "SHARE_MIN", Fraction(1))
    monkeypatch.setattr("tests.laws.test_judged_traffic_laws.SENTENCES", OF_DAYS | OF_PERIODS)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=RULES_OF_BOTH)
    among = worlds(rng, 8, [anything, busy_viewer, one_id, busy_viewer])
    viewer = "ann" + among[0].name
    decided, passes = 0, set[SeenPeriod]()
    # the groups of the first run wait for 13 days until the third, so people can decide on them before they expire
    for later, count in ((0, 150), (12, 50), (1, 40), (40, 20)):
        run.log.now += timedelta(days=later)
        run.traffic_decisions.now = run.log.now
        grow(run, rng, among, count)
        cut_somewhere(run, rng)
        run.catalogue.versions.append({})
        number = len(run.catalogue.versions)
        run.catalogue.shares[number] = [(f"-a{each.name}", "p", 1_000_000, date.min, date.max) for each in among[:4]]
        run.catalogue.viewers[number] = [("p", viewer), ("q", viewer), ("p", "nobody")]
        decide_some(run, rng, 0.4)
        if run.versions.published:
            decided += decide_groups(run, rng, 0.4)
        result = run_once(run.ports(allowed_lateness=timedelta(0)), TOPIC)
        assert result.state == "published"
        version = run.versions.published[-1]
        for seen in sorted({each.period for each in version.day_rules.values() if each.period} - passes, key=str):
            given |= found_by_model(run, version, seen)
            passes.add(seen)
        assert_traffic_is_that_of_one_count(run, spark, f"{seed}, version {result.version}")
        assert_pinned(run, version)
        if later:
            assert rebuild_once(run.ports()).state == "equal"
    november = Period(date(2026, 11, 1), date(2026, 12, 1))
    assert unjudged_days(november, run.current.day_rules) == []
    outcomes = Counter(str(row[2]) for row in stored_rows(run, run.current).values() if row[3] in PERIOD_CODES)
    assert min(outcomes[name] for name in ("invalid", "released", "confirmed")) > 2, outcomes
    assert decided > 2
    assert {each.period for each in passes} >= {november}


def assert_pinned(run: MemoryRun, version: PublishedVersion) -> None:
    """Every pass pins exactly the findings that were stored with its version, and those in the table."""
    outcomes = run.warehouse.tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES])
    for seen in {each.period for each in version.day_rules.values() if each.period}:
        days = [day for day, each in version.day_rules.items() if each.period == seen]
        sets = found_sets(on_days(outcomes, days))
        assert (len(sets), findings_hash(sets)) == (seen.finding_count, seen.findings_hash)
        stored = [finding for _, period, finding in run.versions.findings if period == seen.period]
        assert {each.found for each in stored} >= set(sets)
        for each in stored:
            assert seen.period.contains(each.first_on)
            assert each.first_on <= each.last_on < seen.period.end_on
            assert 0 < each.evidence["days"] <= each.found.event_count >= each.evidence["viewers"]


@pytest.mark.usefixtures("empty_tables")
def test_a_period_is_judged_once_when_it_is_asked_for_and_what_was_found_cannot_be_changed(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = MemoryRun.with_partitions(spark, 1, tmp_path, no_gate, traffic_rules=RULES_OF_BOTH)
    for number in range(6):
        # on different days: no rule of a day finds anything
        run.log.append(0, START, view(number, "fan", START - timedelta(days=2 * (number % 3))))
    run.log.now += timedelta(days=1, hours=12)
    ports = run.ports(allowed_lateness=timedelta(0))
    asked = Period(date(2026, 11, 15), date(2026, 11, 21))
    assert run_once(ports, TOPIC).state == "published"
    assert unjudged_days(asked, run.current.day_rules) == [START.date() - timedelta(days=back) for back in (4, 2, 0)]
    assert run_once(ports, TOPIC, judge_period=asked).state == "published"
    assert unjudged_days(asked, run.current.day_rules) == []
    places = {place: (row[2], row[3]) for place, row in stored_rows(run, run.current).items()}
    # more than a twentieth of all events: none of them is more than a review
    assert places == {(0, offset): ("review", REVIEW if offset % 2 else INVALID) for offset in (1, 2, 4, 5)}
    assert run_once(ports, TOPIC, judge_period=asked).state == "nothing_new"
    groups: list[TrafficGroup] = list(run.warehouse.groups_under_review(run.current))
    assert {(each.reason, each.event_count) for each in groups} == {(REVIEW, 1), (INVALID, 1)}
    spark.sql(f"DELETE FROM {NAMESPACE}.{TRAFFIC_OUTCOMES} WHERE offset = 1")
    version = run.current
    snapshots = {**version.snapshots, TRAFFIC_OUTCOMES: run.warehouse.tables.main(TRAFFIC_OUTCOMES) or 0}
    run.versions.published[-1] = replace(version, snapshots=snapshots)
    with pytest.raises(DifferenceError, match=f"traffic found in {asked} on 3 days: 2 findings with hash"):
        rebuild_once(run.ports())
