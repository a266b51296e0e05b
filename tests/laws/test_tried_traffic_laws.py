"""A policy of traffic that is tried on a version gives what the plain models give by its values."""

import random
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.errors import RefusedError
from batch_layer.judging.traffic_rules import TrafficPolicyDays, TrafficRules
from batch_layer.lake.iceberg_tables import NAMESPACE
from batch_layer.lake.tables import EVENTS, TABLES, VIEWERS
from batch_layer.run.run import run_once
from batch_layer.settled.spark_tried_traffic import SparkTriedTraffic, TrafficTrial
from ingestion.contract.counting import settle
from ingestion.contract.day_traffic import JudgedTraffic, TrafficOutcome
from ingestion.contract.event import Reason
from ingestion.contract.offsets import LogPlace
from ingestion.contract.settled import MovedViews
from ingestion.contract.traffic_groups import TrafficDecision
from tests.batch_fakes import TOPIC
from tests.laws.test_judged_traffic_laws import (
    RULED_FROM,
    SENTENCES,
    busy_viewer,
    groups_under_review,
    judged_fans,
    new_catalogue,
    outcomes_by_spark,
    outcomes_of_day,
)
from tests.random_logs import PARTITIONS, anything, grow, no_gate, one_id, worlds
from tests.shipped_policies import POLICIES, shipped_policy_on
from tests.spark_fixtures import MemoryRun

PROPOSED = 0


def ruled_by(version: int) -> TrafficRules:
    return TrafficRules((TrafficPolicyDays(version, RULED_FROM),), outcomes_by_spark, SENTENCES)


def tried(run: MemoryRun, spark: SparkSession, policy: int) -> SparkTriedTraffic:
    """What the version becomes by the rules that version `policy` of the policy has, proposed as a new one."""
    rules = TrafficRules(
        (TrafficPolicyDays(PROPOSED, date.min),), lambda rows, _: outcomes_by_spark(rows, policy), SENTENCES
    )
    version = run.versions.published[-1]
    judged = [day for day, each in version.day_rules.items() if each.seen is not None]
    reports: list[str] = []
    trial = TrafficTrial(spark, version, rules, run.catalogue, POLICIES)
    found = trial.judge(judged, lambda stage, text: reports.append(f"{stage}: {text}"))
    assert reports[0] == f"judge: the traffic of {len(judged)} of {len(judged)} days, from {min(judged)} on"
    assert found.days == frozenset(judged)
    return found


def judged_rows(events: DataFrame) -> dict[tuple[int, int], tuple[object, ...]]:
    return {
        (row.partition, row.offset): (row.verdict, row.billability, [each.code for each in row.reasons or ()])
        for row in events.select("partition", "offset", "verdict", "billability", "reasons").collect()
    }


def stored_rows(run: MemoryRun) -> dict[tuple[int, int], tuple[object, ...]]:
    return judged_rows(run.warehouse.tables.at(EVENTS, run.versions.published[-1].snapshots[EVENTS]))


def expected_rows(run: MemoryRun, policy: int) -> tuple[dict[tuple[int, int], tuple[object, ...]], int]:
    """What the plain models make of the log if the days were judged by a policy, each by what is pinned for it.

    With the number of groups under review.
    """
    version = run.versions.published[-1]
    found: dict[LogPlace, tuple[object, ...]] = {}
    ends = {day: rules.seen.end for day, rules in version.day_rules.items() if rules.seen is not None}
    for day, rules in version.day_rules.items():
        if rules.seen is not None:
            below = [each for each in run.log.all() if rules.seen.end.holds((each.partition, each.offset))]
            number = rules.seen.catalogue_version
            facts, shares = run.catalogue.versions[number - 1], run.catalogue.shares[number]
            found |= outcomes_of_day(below, day, frozenset(), facts, shares, policy=policy)
    outcomes = {
        place: (TrafficOutcome(str(row[2])), Reason(str(row[3]), SENTENCES[str(row[3])]))
        for place, row in found.items()
    }
    traffic, log = JudgedTraffic(outcomes, ends), (each.received for each in run.log.all())
    rows = {
        place: (str(one.verdict), one.billability and str(one.billability), [each.code for each in one.reasons])
        for place, one in settle(log, run.catalogue.versions[-1], shipped_policy_on, traffic=traffic).items()
    }
    return rows, len({(day, reason, payee) for day, payee, outcome, reason, _ in found.values() if outcome == "review"})


@pytest.mark.usefixtures("empty_tables")
def test_a_tried_policy_gives_what_the_plain_models_give(spark: SparkSession, tmp_path: Path) -> None:
    """The policies differ in how many views of a viewer are too many, so the cap has other views to decide on, too."""
    rng = random.Random(7)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=ruled_by(1))
    among = worlds(rng, 12, [anything, busy_viewer, one_id, busy_viewer])
    for count in (160, 60):
        grow(run, rng, among, count)
        new_catalogue(run, rng, among)
        assert run_once(run.ports(allowed_lateness=timedelta(0)), TOPIC).state == "published"
    before, (expected, groups_proposed) = stored_rows(run), expected_rows(run, 2)
    assert (before, groups_now := len(groups_under_review(run))) == expected_rows(run, 1)
    snapshots = {name: run.warehouse.tables.main(name) for name in TABLES}
    found = tried(run, spark, 2)
    assert judged_rows(found.judged_events()) == expected
    different = [place for place in before if state(before[place]) != state(expected[place])]
    assert len(different) > 10, "the policies differ"
    moved = list(found.moved([]))
    assert sum(each.event_count for each in moved) == len(different)
    assert {each.decided for each in moved} == {""}
    assert (found.groups_now, found.groups_proposed) == (groups_now, groups_proposed)
    assert {name: run.warehouse.tables.main(name) for name in TABLES} == snapshots, "nothing is written"


def state(row: tuple[object, ...]) -> str:
    verdict, billability, _ = row
    if verdict == "invalid_traffic":
        return "withheld"
    return {"billable": "paid", "under_review": "under_review"}.get(str(billability), "unpaid")


@pytest.mark.usefixtures("empty_tables")
def test_what_people_decided_says_which_of_the_moves_are_wrong(spark: SparkSession, tmp_path: Path) -> None:
    """Policy 2 removes what policy 1 reviews of a viewer with eight views; a rule that says nothing pays it."""
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=ruled_by(1))
    groups = judged_fans(run, 3)
    outcomes = (TrafficOutcome.RELEASED, TrafficOutcome.CONFIRMED, TrafficOutcome.RELEASED)
    decisions = [TrafficDecision(group, outcome) for group, outcome in zip(groups, outcomes, strict=True)]
    run.traffic_decisions.decided |= set(decisions)
    assert run_once(run.ports(), TOPIC).version == 2
    assert groups_under_review(run) == []
    same = tried(run, spark, 1)
    assert list(same.moved([])) == [], "a decision on what is reviewed as before holds"
    assert (same.groups_now, same.groups_proposed) == (0, 0)
    all_invalid = everything_says("invalid", run, spark)
    withheld = moves_of(all_invalid, [groups[2]])
    assert withheld["paid", "withheld", "released"] == 2
    assert ("withheld", "withheld", "confirmed") not in withheld
    nobodys = moves_of(all_invalid, [])
    assert nobodys["paid", "withheld", "released"] == 4
    assert nobodys["paid", "withheld", ""] == withheld["paid", "withheld", ""] - 2, "who expired is nobody's word"
    nothing = moves_of(everything_says("", run, spark), [])
    assert nothing["withheld", "paid", "confirmed"] == 2
    assert not [move for move in nothing if move[2] == "released"], "what was released is paid already"
    reviewed = moves_of(everything_says("review", run, spark), [])
    assert not [move for move in reviewed if move[2]], "a decision on what is reviewed as before holds"
    assert reviewed["paid", "under_review", ""] > 0


def everything_says(outcome: str, run: MemoryRun, spark: SparkSession) -> SparkTriedTraffic:
    """A policy whose rule says the same of every event of a judged day, or nothing."""
    from pyspark.sql import functions as F

    def outcomes(rows: DataFrame, _: int) -> DataFrame:
        of_day = rows.where("event_day = judged_day").select("partition", "offset", "event_day")
        same = of_day.withColumns(
            {"outcome": F.lit(outcome), "reason": F.lit(next(iter(SENTENCES))), "points": F.lit(100)}
        )
        return same.where(F.col("outcome") != "")

    version = run.versions.published[-1]
    days = [day for day, each in version.day_rules.items() if each.seen is not None]
    rules = TrafficRules((TrafficPolicyDays(PROPOSED, date.min),), outcomes, SENTENCES)
    return TrafficTrial(spark, version, rules, run.catalogue, POLICIES).judge(days, lambda _, __: None)


def moves_of(found: SparkTriedTraffic, expired: list[object]) -> Counter[tuple[str, str, str]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for each in found.moved(expired):  # type: ignore[arg-type]
        assert isinstance(each, MovedViews)
        counts[each.now, each.proposed, each.decided] += each.event_count
    return counts


@pytest.mark.usefixtures("empty_tables")
def test_days_whose_viewers_were_removed_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=ruled_by(1))
    judged_fans(run, 3)
    days = sorted(run.versions.published[-1].day_rules)
    spark.sql(f"DELETE FROM {NAMESPACE}.{VIEWERS} WHERE event_day = DATE'{days[0]}'")
    trial = TrafficTrial(spark, run.versions.published[-1], ruled_by(1), run.catalogue, POLICIES)
    found = trial.judge(days, lambda _, __: None)
    assert (found.days, found.erased_days) == (frozenset(days[2:]), frozenset(days[:2]))
    with pytest.raises(RefusedError, match="no rule can look at them again"):
        trial.judge(days[:1], lambda _, __: None)
