"""Day rules of traffic: in any runs, with days judged at any time, outcomes are those of one count and of a rebuild."""

import json
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import DifferenceError
from batch_layer.judging import spark_day_traffic
from batch_layer.judging.spark_day_rows import comparable
from batch_layer.judging.spark_traffic_groups import groups_of
from batch_layer.judging.traffic_rules import TrafficPolicyDays, TrafficRules
from batch_layer.lake.iceberg_tables import NAMESPACE
from batch_layer.lake.tables import EVENTS, TRAFFIC_OUTCOMES, VIEWS_BY_VIDEO
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.settled.iceberg_settled_views import IcebergSettledViews
from billing.rating.preconditions import failed_preconditions
from ingestion.contract.counting import Verdict, VideoFacts, day_of, settle
from ingestion.contract.day_traffic import JudgedTraffic, TrafficOutcome
from ingestion.contract.event import Reason, ViewEvent
from ingestion.contract.offsets import LogPlace
from ingestion.contract.periods import Period
from ingestion.contract.traffic_evidence import Aspect
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.traffic_reasons import DayReason
from ingestion.contract.version import PublishedVersion
from tests.batch_fakes import TOPIC, Message
from tests.laws.test_batch_laws import assert_equals_settle
from tests.laws.test_change_laws import of_change
from tests.random_logs import (
    PARTITIONS,
    START,
    World,
    anything,
    cut_somewhere,
    decide_some,
    grow,
    later_facts,
    no_gate,
    one_id,
    worlds,
)
from tests.shipped_policies import shipped_policy_on
from tests.spark_fixtures import MemoryRun, whole_gate

INVALID_FROM, REVIEW_FROM = {1: 6, 2: 4}, {1: 3, 2: 2}
"""By policy: some views of a viewer with as many on a day and the day before are invalid, or under review."""
TOO_MANY, MANY = DayReason.MORE_HOURS_THAN_A_DAY.code, DayReason.PLAYS_AT_ONCE.code
SENTENCES = {TOO_MANY: "More views than anybody watches", MANY: "Many views"}
VIDEOS_OF_A_FAN = 20
RULED_FROM = START.date() - timedelta(days=6)


def outcomes_by_spark(rows: DataFrame, policy_version: int) -> DataFrame:
    """Return the outcomes of a rule that looks at every kind of column: views of a viewer, payees and lengths."""
    viewer = ["judged_day", "user_id"]
    known = rows.where("length_seconds IS NOT NULL").groupBy(*viewer).agg(F.count("*").alias("known"))
    views = rows.groupBy(*viewer).agg(F.count("*").alias("views"), F.count_distinct("payee_id").alias("payees"))
    is_invalid = (F.col("views") >= INVALID_FROM[policy_version]) & (F.col("offset") % 3 == 0)
    points = F.col("views") * 10 + F.col("payees") + F.coalesce("known", F.lit(0))
    return (
        rows.where("event_day = judged_day")
        .join(views.join(known, viewer, "left"), viewer)
        .where((F.col("views") >= REVIEW_FROM[policy_version]) & (F.col("offset") % 3 < 2))
        .select(
            "partition",
            "offset",
            "event_day",
            F.when(is_invalid, "invalid").otherwise("review").alias("outcome"),
            F.when(is_invalid, TOO_MANY).otherwise(MANY).alias("reason"),
            points.cast("int").alias("points"),
        )
    )


RULES = TrafficRules((TrafficPolicyDays(1, RULED_FROM),), outcomes_by_spark, sentences=SENTENCES)
SECOND_FROM = START.date() - timedelta(days=1)
RULES_OF_TWO = replace(RULES, policies=(*RULES.policies, TrafficPolicyDays(2, SECOND_FROM)))


def payee_of(shares: Sequence[tuple[str, str, int, date, date]], video_id: str, day: date) -> str | None:
    """The owner of the largest share, of equal ones the first."""
    owners = [(-ppm, payee) for video, payee, ppm, start, end in shares if video == video_id and start <= day < end]
    return min(owners)[1] if owners else None


def expected_rows(run: MemoryRun, version: PublishedVersion) -> dict[LogPlace, tuple[object, ...]]:
    """The outcomes by the plain model: the log below each day's end, counted by itself, and the rule in Python."""
    found: dict[LogPlace, tuple[object, ...]] = {}
    accepted = run.versions.accepted_until(version.version)
    for day, rules in version.day_rules.items():
        if rules.seen is None:
            continue
        below = [each for each in run.log.all() if rules.seen.end.holds((each.partition, each.offset))]
        catalogue = rules.seen.catalogue_version
        facts: Mapping[str, VideoFacts] = run.catalogue.versions[catalogue - 1] if catalogue else {}
        shares = run.catalogue.shares.get(catalogue, [])
        found |= outcomes_of_day(below, day, accepted, facts, shares, policy=rules.traffic_policy_version)
    found |= GIVEN
    for decision in run.versions.traffic_decided_until(version.version):
        found |= DECIDED.get(decision, {})
    return found


GIVEN: dict[LogPlace, tuple[object, ...]] = {}
"""What rules of periods found."""


DECIDED: dict[TrafficDecision, dict[LogPlace, tuple[object, ...]]] = {}
"""What the members of each decided group become, by the rows that a person saw."""


def decide_groups(run: MemoryRun, rng: random.Random, share: float) -> int:
    """Decide on some of the groups of the current version as a person would; return on how many.

    The others can be released by expiry.
    """
    version = run.versions.published[-1]
    rows = stored_rows(run, version)
    groups = groups_of(run.warehouse.tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES]))
    under_review = {place: row for place, row in rows.items() if row[2] == "review"}
    assert sum(group.event_count for group in groups) == len(under_review)
    chosen = [group for group in groups if rng.random() < share]
    for group in groups:
        outcome = rng.choice([TrafficOutcome.RELEASED, TrafficOutcome.CONFIRMED])
        decision = TrafficDecision(group, outcome if group in chosen else TrafficOutcome.RELEASED)
        DECIDED[decision] = {
            place: (day, payee, decision.outcome.value, reason, points)
            for place, (day, payee, _, reason, points) in under_review.items()
            if (day, reason, payee or "") == (group.day, group.reason, group.payee_id)
        }
        assert len(DECIDED[decision]) == group.event_count
        if group in chosen:
            run.traffic_decisions.decided.add(decision)
    return len(chosen)


def outcomes_of_day(
    below: Sequence[Message],
    day: date,
    accepted: frozenset[LogPlace],
    facts: Mapping[str, VideoFacts],
    shares: Sequence[tuple[str, str, int, date, date]],
    *,
    policy: int,
) -> dict[LogPlace, tuple[object, ...]]:
    counted = settle((each.received for each in below), {}, shipped_policy_on, accepted=accepted)
    by_viewer: defaultdict[str, list[tuple[LogPlace, ViewEvent]]] = defaultdict(list)
    for each in below:
        event, place = each.received.decoded, (each.partition, each.offset)
        if not isinstance(event, ViewEvent) or counted[place].verdict is not Verdict.COUNTED:
            continue
        if day_of(event.timestamp) in (day, day - timedelta(days=1)):
            by_viewer[event.user_id].append((place, event))
    found: dict[LogPlace, tuple[object, ...]] = {}
    for views in by_viewer.values():
        payees = {payee_of(shares, event.video_id, day_of(event.timestamp)) for _, event in views} - {None}
        known = sum(facts.get(event.video_id, VideoFacts()).length_seconds is not None for _, event in views)
        for place, event in views:
            if len(views) < REVIEW_FROM[policy] or day_of(event.timestamp) != day or place[1] % 3 == 2:
                continue
            is_invalid = len(views) >= INVALID_FROM[policy] and place[1] % 3 == 0
            says = ("invalid", TOO_MANY) if is_invalid else ("review", MANY)
            payee = payee_of(shares, event.video_id, day)
            found[place] = (day, payee, *says, 10 * len(views) + len(payees) + known)
    return found


def stored_rows(run: MemoryRun, version: PublishedVersion) -> dict[LogPlace, tuple[object, ...]]:
    rows = run.warehouse.tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES]).collect()
    assert len({(row.partition, row.offset) for row in rows}) == len(rows)
    return {
        (row.partition, row.offset): (row.event_day, row.payee_id, row.outcome, row.reason, row.points) for row in rows
    }


def assert_traffic_is_that_of_one_count(run: MemoryRun, spark: SparkSession, seed: object) -> None:
    version = run.versions.published[-1]
    rows = expected_rows(run, version)
    stored = stored_rows(run, version)
    different = {
        place: (stored.get(place), rows.get(place))
        for place in {*stored, *rows}
        if stored.get(place) != rows.get(place)
    }
    assert not different, f"seed {seed}: (stored, expected) {different}"
    outcomes = {
        place: (TrafficOutcome(str(row[2])), Reason(str(row[3]), SENTENCES[str(row[3])])) for place, row in rows.items()
    }
    ends = {day: rules.seen.end for day, rules in version.day_rules.items() if rules.seen}
    facts = run.catalogue.versions[-1] if run.catalogue.versions else {}
    assert_equals_settle(run, spark, facts, seed, traffic=JudgedTraffic(outcomes, ends))


def busy_viewer(world: World, appended_at: datetime) -> bytes:
    """One viewer who watches one video again and again for three days, in any order: the cap has much to decide."""
    happened = START - timedelta(hours=4 * world.rng.randrange(18), minutes=world.rng.choice([0, 0, 30]))
    event_id = str(uuid.UUID(int=world.rng.getrandbits(128), version=4))
    video, viewer = "-a" + world.name, "ann" + world.name
    return world.event(
        happened, event_id=event_id, video_id=video, user_id=viewer, view_duration=60, revenue_eligible=True
    )


def random_shares(rng: random.Random, facts: Mapping[str, VideoFacts]) -> list[tuple[str, str, int, date, date]]:
    """Some videos have one owner, some two with equal shares, some were sold."""
    found = []
    ever, never, sold_on = date(1, 1, 1), date(9999, 12, 31), START.date() - timedelta(days=2)
    for video_id in sorted(facts):
        kind = rng.randrange(4)
        if kind == 1:
            found.append((video_id, rng.choice("pq"), 1_000_000, ever, never))
        elif kind == 2:
            found += [(video_id, payee, 500_000, ever, never) for payee in rng.sample("pqr", 2)]
        elif kind == 3:
            found += [(video_id, "p", 1_000_000, ever, sold_on), (video_id, "q", 1_000_000, sold_on, never)]
    return found


def new_catalogue(run: MemoryRun, rng: random.Random, among: Sequence[World]) -> None:
    facts = later_facts(rng, among, run.catalogue.versions)
    run.catalogue.versions.append(facts)
    run.catalogue.shares[len(run.catalogue.versions)] = random_shares(rng, facts)


@pytest.mark.usefixtures("empty_tables")
def test_after_any_runs_the_traffic_is_that_of_one_count_and_a_rebuild_finds_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some runs judge all of their due days in one plan, others in several; the policy changes on one of the days."""
    seed = 5
    rng = random.Random(seed)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=RULES_OF_TWO)
    among = worlds(rng, 12, [anything, busy_viewer, one_id, busy_viewer])
    month = Period(date(2026, 11, 1), date(2026, 12, 1))
    seen = Counter[str]()
    # how much later each run is, in days, and what is new in it
    decided = 0
    for later, count, asked in ((0, 160, None), (0, 60, None), (7, 0, None), (0, 80, month), (35, 20, None)):
        run.log.now += timedelta(days=later)
        run.traffic_decisions.now = run.log.now
        monkeypatch.setattr(spark_day_traffic, "EVENTS_AT_ONCE", 100 if later or asked else 1_000)
        grow(run, rng, among, count)
        cut_somewhere(run, rng)
        if count:
            new_catalogue(run, rng, among)
            decide_some(run, rng, 0.4)
        if run.versions.published:
            decided += decide_groups(run, rng, 0.3)
        part_offsets = max(1, sum(run.log.highwaters()) // rng.choice([1, 2]))
        result = run_once(
            run.ports(part_offsets=part_offsets, allowed_lateness=timedelta(0)), TOPIC, judge_period=asked
        )
        assert result.state == "published"
        assert_traffic_is_that_of_one_count(run, spark, f"{seed}, version {result.version}")
        rows = run.warehouse.tables.at(EVENTS, run.versions.published[-1].snapshots[EVENTS])
        seen.update({row.billability: row["count"] for row in rows.groupBy("billability").count().collect()})
        seen["invalid"] += rows.where(f"reasons[0].code = '{TOO_MANY}'").count()
        seen["confirmed"] += rows.where(f"reasons[0].code = '{MANY}'").count()
    assert min(seen[name] for name in ("invalid", "confirmed", "under_review", "traffic_pending", "over_cap")) > 5, seen
    applied, expired = run.versions.traffic_decided_until(5), run.traffic_decisions.expired
    assert len(applied - expired) == decided > 2
    assert len(applied & expired) > 1, "groups that nobody decides on are released in the run after 14 days"
    assert all(each.outcome is TrafficOutcome.RELEASED for each in expired)
    assert rebuild_once(run.ports()).state == "equal"
    by_day = run.versions.published[-1].day_rules
    for day, rules in by_day.items():
        assert rules.traffic_policy_version == (0 if day < RULED_FROM else 1 if day < SECOND_FROM else 2)
        assert rules.traffic_policy_version or rules.seen is None
    assert {rules.traffic_policy_version for rules in by_day.values()} == {0, 1, 2}
    judged = run.warehouse.tables.at(TRAFFIC_OUTCOMES, run.versions.published[-1].snapshots[TRAFFIC_OUTCOMES])
    of_policy = Counter(by_day[row.event_day].traffic_policy_version for row in judged.collect())
    assert min(of_policy[1], of_policy[2]) > 5, of_policy


def view(number: int, user: str, happened_at: datetime, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "event_id": str(uuid.UUID(int=number)),
        "video_id": f"v{number}",
        "user_id": user,
        "session_id": "s",
        "timestamp": happened_at.isoformat(),
        "view_duration": 60,
        "revenue_eligible": True,
    }
    return json.dumps(fields | changes).encode()


def outcomes_of(run: MemoryRun) -> Counter[tuple[str, str | None]]:
    version = run.versions.published[-1]
    rows = run.warehouse.tables.at(EVENTS, version.snapshots[EVENTS]).collect()
    return Counter((row.verdict, row.billability) for row in rows)


@pytest.mark.usefixtures("empty_tables")
def test_late_events_of_a_hostile_sender_change_no_outcome_and_delay_no_bill(
    spark: SparkSession, tmp_path: Path
) -> None:
    """With the gate and the comparison after a run: both hold for days that are judged."""
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, whole_gate, traffic_rules=RULES)
    noon = START - timedelta(days=2)
    day, month = noon.date(), Period(date(2026, 11, 1), date(2026, 12, 1))
    for number in range(12):
        run.log.append(number % 2, START, view(number, "fan" if number < 8 else f"viewer {number}", noon))
    billed = Period(day, day + timedelta(days=1))
    first = run_once(run.ports(), TOPIC, judge_period=billed)
    assert first.version == 1, "a day that is over is judged by the run that archives it"
    honest = {("counted", "billable"): 6, ("counted", "under_review"): 2, ("invalid_traffic", None): 4}
    assert outcomes_of(run) == honest
    seen, stored = run.versions.published[0].day_rules[day].seen, stored_rows(run, run.versions.published[0])
    assert seen is not None
    for number in range(3):
        # the same views of everybody again, others under their ids, and many more of one of the viewers
        run.log.append(2, START, view(number, "fan", noon))
        run.log.append(2, START, view(9 + number, "attacker", noon, view_duration=61))
        run.log.append(2, START, view(100 + number, "viewer 11", noon))
    run.lines.clear()
    assert run_once(run.ports(), TOPIC).version == 2
    assert not [line for line in run.lines if line.startswith("traffic")], "no rule was computed"
    repeats = {("duplicate", None): 3, ("conflict", None): 3, ("counted", "traffic_pending"): 3}
    assert outcomes_of(run) == honest | repeats
    version = run.versions.published[-1]
    assert (version.day_rules[day].seen, stored_rows(run, version)) == (seen, stored)
    assert failed_preconditions(billed, version, (), allowed_lateness=timedelta(0)) == []
    assert run_once(run.ports(), TOPIC, judge_period=month).version == 3
    assert outcomes_of(run)["counted", "traffic_pending"] == 0
    assert_traffic_is_that_of_one_count(run, spark, "hostile")
    assert of_change(spark, run.versions, 0) == of_change(spark, run.versions, 1) == []
    views = IcebergSettledViews(spark, run.versions.published[-1], tuple)
    assert views.contradictions(month) == []
    assert rebuild_once(run.ports()).state == "equal"


def judged_fans(run: MemoryRun, count: int = 1) -> list[TrafficGroup]:
    """Publish twelve views on a day of each fan, of which one group of two is under review; return the groups."""
    noon = START - timedelta(days=2)
    for fan in range(count):
        for number in range(12):
            user = f"fan {fan}" if number < 8 else f"viewer {fan} {number}"
            run.log.append(number % 2, START, view(VIDEOS_OF_A_FAN * fan + number, user, noon - timedelta(days=fan)))
    assert run_once(run.ports(), TOPIC).version == 1
    groups = sorted(groups_under_review(run), key=lambda group: group.day, reverse=True)
    assert [(group.day, group.reason, group.payee_id, group.event_count) for group in groups] == [
        ((noon - timedelta(days=fan)).date(), MANY, "", 2) for fan in range(count)
    ]
    return groups


def groups_under_review(run: MemoryRun) -> list[TrafficGroup]:
    version = run.versions.published[-1]
    return groups_of(run.warehouse.tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES]))


def totals_by_fan(run: MemoryRun, count: int) -> list[tuple[int, int]]:
    """The views and billable views of each fan's videos."""
    version = run.versions.published[-1]
    rows = run.warehouse.tables.at(VIEWS_BY_VIDEO, version.snapshots[VIEWS_BY_VIDEO]).collect()
    of_fan = [[row for row in rows if int(row.video_id[1:]) // VIDEOS_OF_A_FAN == fan] for fan in range(count)]
    return [(sum(row.views for row in each), sum(row.billable_views for row in each)) for each in of_fan]


@pytest.mark.usefixtures("empty_tables")
def test_decisions_alone_start_a_run_and_move_the_events_of_their_groups(spark: SparkSession, tmp_path: Path) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, whole_gate, traffic_rules=RULES)
    groups = judged_fans(run, 2)
    shown = IcebergSettledViews(spark, run.versions.published[-1], tuple).reviewed_groups()
    assert [each.group for each in shown] == sorted(groups)
    for each in shown:
        assert [(views.country, views.view_count) for views in each.waiting] == [("ZZ", 1)] * each.waiting_count
        assert (each.waiting_count, each.video_count) == (2, 2)
        assert {f"v{uuid.UUID(event_id).int}" for event_id in each.event_ids} == {one.video_id for one in each.waiting}
    evidence = IcebergSettledViews(spark, run.versions.published[-1], tuple).group_evidence(groups)
    for group in groups:
        hours = [(each.of_group, each.of_all > 0) for each in evidence[group].counts[Aspect.HOUR]]
        assert hours == [(group.event_count, True)], "the other views of the day are of the same hour"
        assert len(evidence[group].samples) == group.event_count
    before = totals_by_fan(run, 2)
    outcomes = (TrafficOutcome.RELEASED, TrafficOutcome.CONFIRMED)
    decisions = {TrafficDecision(group, outcome) for group, outcome in zip(groups, outcomes, strict=True)}
    run.traffic_decisions.decided |= decisions
    assert run_once(run.ports(), TOPIC).version == 2
    assert set(run.versions.published[-1].traffic_decisions) == decisions
    (released, confirmed), (released_before, confirmed_before) = totals_by_fan(run, 2), before
    assert released == (released_before[0], released_before[1] + 2)
    assert confirmed == (confirmed_before[0] - 2, confirmed_before[1])
    assert (groups_under_review(run), run.traffic_decisions.seen_at) == ([], {})
    assert of_change(spark, run.versions, 1) == []
    assert run_once(run.ports(), TOPIC).state == "nothing_new", "a decision is applied once"
    # the rules judge the days again, and what was decided stays; a later member is a group of its own
    for fan in range(2):
        run.log.append(1, START, view(VIDEOS_OF_A_FAN * fan + 12, f"fan {fan}", START - timedelta(days=2 + fan)))
    run.log.now += timedelta(days=7)
    assert run_once(run.ports(), TOPIC).version == 3
    first, newest = run.versions.published[0], run.versions.published[-1]
    rows = stored_rows(run, newest).values()
    for group, outcome in zip(groups, outcomes, strict=True):
        assert newest.day_rules[group.day].seen != first.day_rules[group.day].seen
        assert len([row for row in rows if (row[0], row[2]) == (group.day, outcome)]) == group.event_count
    assert rebuild_once(run.ports()).state == "equal"


@pytest.mark.usefixtures("empty_tables")
def test_a_group_that_nobody_decides_on_is_released_after_14_days_by_a_run_of_its_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, whole_gate, traffic_rules=RULES)
    (group,) = judged_fans(run)
    (before,), clock = totals_by_fan(run, 1), run.traffic_decisions
    assert clock.seen_at == {group: clock.now}, "noted by the run that published it"
    assert run_once(run.ports(), TOPIC).state == "nothing_new"
    assert [number for number, _ in clock.noted] == [1]
    clock.now += timedelta(days=14) - timedelta(seconds=1)
    waits = run_once(run.ports(), TOPIC)
    assert (waits.state, waits.expiring_group_count) == ("nothing_new", 1)
    clock.now += timedelta(seconds=1)
    expires = run_once(run.ports(), TOPIC)
    assert (expires.version, expires.expiring_group_count) == (2, 0)
    assert run.versions.published[-1].traffic_decisions == (TrafficDecision(group, TrafficOutcome.RELEASED),)
    assert totals_by_fan(run, 1) == [(before[0], before[1] + 2)]
    assert rebuild_once(run.ports()).state == "equal"
    clock.now += timedelta(days=99)
    assert run_once(run.ports(), TOPIC).state == "nothing_new"
    assert len(clock.expired) == 1


@pytest.mark.usefixtures("empty_tables")
def test_a_decision_on_a_group_that_has_other_events_by_now_changes_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=RULES)
    (group,) = judged_fans(run)
    before = outcomes_of(run)
    other = replace(group, set_hash="0" * 32)
    run.traffic_decisions.decided.add(TrafficDecision(other, TrafficOutcome.CONFIRMED))
    assert run_once(run.ports(), TOPIC).state == "nothing_new"
    assert (outcomes_of(run), groups_under_review(run)) == (before, [group])


@pytest.mark.usefixtures("empty_tables")
def test_a_rebuild_names_events_that_nobody_released(spark: SparkSession, tmp_path: Path) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=RULES)
    (group,) = judged_fans(run)
    version, tables = run.versions.published[0], run.warehouse.tables
    spark.sql(f"UPDATE {NAMESPACE}.{TRAFFIC_OUTCOMES} SET outcome = 'released' WHERE outcome = 'review'")
    snapshots = {**version.snapshots, TRAFFIC_OUTCOMES: tables.main(TRAFFIC_OUTCOMES) or 0}
    run.versions.published = [replace(version, snapshots=snapshots)]
    expected = f"decided traffic of {group.day} {MANY} nobody: released by decisions no rows, in the table 2 rows"
    with pytest.raises(DifferenceError, match=expected):
        rebuild_once(run.ports())


@pytest.mark.usefixtures("empty_tables")
def test_a_rebuild_names_an_outcome_that_was_changed_in_the_table(spark: SparkSession, tmp_path: Path) -> None:
    run = MemoryRun.with_partitions(spark, 1, tmp_path, no_gate, traffic_rules=RULES)
    for number in range(8):
        run.log.append(0, START, view(number, "fan", START - timedelta(days=2)))
    run_once(run.ports(), TOPIC)
    version, tables = run.versions.published[0], run.warehouse.tables
    spark.sql(f"UPDATE {NAMESPACE}.{TRAFFIC_OUTCOMES} SET outcome = 'review' WHERE offset = 0")
    snapshots = {**version.snapshots, TRAFFIC_OUTCOMES: tables.main(TRAFFIC_OUTCOMES) or 0}
    run.versions.published = [replace(version, snapshots=snapshots)]
    with pytest.raises(DifferenceError, match=f"differs: {TRAFFIC_OUTCOMES} of 2026-11-18: "):
        rebuild_once(run.ports())


@pytest.mark.usefixtures("empty_tables")
def test_a_reason_that_floods_a_day_is_reviewed_then_and_whenever_the_day_is_judged_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    rules = replace(RULES, policies=(TrafficPolicyDays(1, date(2026, 10, 1)),))
    run = MemoryRun.with_partitions(spark, 1, tmp_path, no_gate, traffic_rules=rules)
    last = START - timedelta(days=2)
    for back in range(8, 0, -1):
        for number in range(20):
            viewer = "fan" if back == 5 and number < 8 else f"viewer {back} {number}"
            run.log.append(0, START, view(100 * back + number, viewer, last - timedelta(days=back)))
    assert run_once(run.ports(), TOPIC).reasons_to_review == ()
    usual = outcomes_of(run)["invalid_traffic", None]
    assert usual > 1
    for number in range(16):
        run.log.append(0, START, view(number, f"fan {number % 2}", last))
    result = run_once(run.ports(), TOPIC)
    assert result.reasons_to_review == tuple(sorted(f"{last.date()} {each}" for each in (MANY, TOO_MANY)))
    assert outcomes_of(run)["invalid_traffic", None] == usual
    rows = stored_rows(run, run.versions.published[-1]).values()
    assert {row[2] for row in rows if row[0] == last.date()} == {"review"}
    run.log.now += timedelta(days=7)
    assert run_once(run.ports(), TOPIC).reasons_to_review == (), "nobody is alerted twice"
    assert outcomes_of(run)["invalid_traffic", None] == usual
    assert rebuild_once(run.ports()).state == "equal"


@pytest.mark.parametrize(("day", "kept_before"), [(date(2026, 10, 1), False), (date(2026, 10, 2), True)])
def test_on_the_first_day_of_a_quarter_nobody_moves_from_a_network_to_itself(
    spark: SparkSession, day: date, kept_before: bool
) -> None:
    """Networks and agents of two quarters are hashed by two keys: an equal one would look like another."""
    before = day - timedelta(days=1)
    rows = spark.createDataFrame(
        [(before, day, "network-before", "agent-before", "v"), (day, day, "network", "agent", "v")],
        "event_day date, judged_day date, network string, agent string, user_id string",
    )
    found = {row.event_day: (row.network, row.agent, row.user_id) for row in comparable(rows, [day]).collect()}
    of_before = ("network-before", "agent-before") if kept_before else (None, None)
    assert found == {day: ("network", "agent", "v"), before: (*of_before, "v")}
