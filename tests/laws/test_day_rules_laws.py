"""Laws of the day rules: Spark finds what the plain model finds, whatever the order and partitioning of rows."""

import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession

from batch_layer.traffic.allowed import Allowed
from batch_layer.traffic.day_events import DayEvent, DayOutcome
from batch_layer.traffic.day_rules import day_outcomes
from batch_layer.traffic.spark_day_rules import SCHEMA
from batch_layer.traffic.spark_day_rules import day_outcomes as spark_day_outcomes
from bench.labelled import held_out_families as families
from bench.labelled.world import World
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason
from tests.random_day_events import DAY, low_policy, random_events, some_allowed

SEED = 20_261_129
FIELDS = ("partition", "offset", "event_day", "outcome", "reason", "points")


def in_spark(
    spark: SparkSession,
    seen: Mapping[date, Iterable[DayEvent]],
    policy: TrafficPolicy,
    *,
    partitions: int = 1,
    allowed: Allowed = (),
) -> dict[date, list[DayOutcome]]:
    """The outcomes of each judged day by the events that its rules see, all in one plan."""
    given = [(*event, day) for day, events in seen.items() for event in events]
    rows = spark.createDataFrame(given, SCHEMA).repartition(partitions).localCheckpoint()
    found = [DayOutcome(*row) for row in spark_day_outcomes(rows, policy, allowed).select(*FIELDS).collect()]
    return {day: sorted(each for each in found if each.event_day == day) for day in seen}


def worlds_of_every_reason() -> Iterator[tuple[TrafficPolicy, list[DayEvent], list[DayOutcome]]]:
    """Few of many random worlds that together give all reasons: each one gives most of those still missing."""
    rng = random.Random(SEED)
    worlds = []
    unseen = {each.code for each in DayReason}
    while len(worlds) < 150 or (unseen and len(worlds) < 1_500):
        policy, events = low_policy(rng), random_events(rng, 300)
        worlds.append((policy, events, day_outcomes(events, DAY, policy)))
        unseen -= {each.reason for each in worlds[-1][2]}
    missing = {each.code for each in DayReason}
    while missing:
        policy, events, outcomes = max(worlds, key=lambda world: len(missing & {each.reason for each in world[2]}))
        given = missing & {each.reason for each in outcomes}
        assert given, f"a law that holds where nothing is found shows nothing: {missing}"
        missing -= given
        yield policy, events, outcomes


def test_spark_finds_what_the_model_finds_in_any_order_and_partitioning(spark: SparkSession) -> None:
    rng = random.Random(SEED)
    seen: set[str] = set()
    for number, (policy, events, expected) in enumerate(worlds_of_every_reason()):
        rng.shuffle(events)
        assert day_outcomes(events, DAY, policy) == expected, (SEED, number)
        found = in_spark(spark, {DAY: events}, policy, partitions=rng.choice((1, 2, 5)))[DAY]
        assert found == expected, (SEED, number, set(found) ^ set(expected))
        seen |= {each.outcome for each in expected}
    assert seen == {"invalid", "review"}


def test_spark_finds_what_the_model_finds_with_the_shipped_policy(spark: SparkSession) -> None:
    world = World(SEED, DAY, size=1_500)
    world.ordinary()
    for family in (families.parallel_plays, families.shared_sessions, families.country_hopper, families.school_class):
        family(world)
    expected = day_outcomes(world.events, DAY, SHIPPED)
    assert len({each.reason for each in expected}) >= 3
    assert in_spark(spark, {DAY: world.events}, SHIPPED, partitions=3) == {DAY: expected}


def test_days_that_are_judged_in_one_plan_have_the_outcomes_that_each_has_alone(spark: SparkSession) -> None:
    """Neighbouring days share events, days far apart share viewers, networks and videos: nothing of it may mix.

    Nor does what an allow-list exempts from on some of the days.
    """
    rng = random.Random(SEED + 3)
    policy, allowed = some_allowed(random.Random(3), low_policy(rng))
    events = [moved for shift in range(4) for moved in later(random_events(rng, 130), days=shift)]
    days = [DAY + timedelta(days=shift) for shift in range(4)]
    seen = {day: [each for each in events if each.event_day in (day, day - timedelta(days=1))] for day in days}
    expected = {day: day_outcomes(mine, day, policy, allowed) for day, mine in seen.items()}
    assert min(len(each) for each in expected.values()) > 10
    exempt = [len(day_outcomes(mine, day, policy)) - len(expected[day]) for day, mine in seen.items()]
    assert min(exempt[:2]) > 0 == exempt[3], "its entries end between"
    assert in_spark(spark, seen, policy, partitions=3, allowed=allowed) == expected


def later(events: Iterable[DayEvent], *, days: int) -> Iterator[DayEvent]:
    """The events some days later, in partitions of their own."""
    shift = timedelta(days=days)
    for each in events:
        yield each._replace(
            partition=each.partition + 10 * days, happened_at=each.happened_at + shift, event_day=each.event_day + shift
        )


def test_only_events_of_the_day_have_outcomes_and_each_at_most_one() -> None:
    rng = random.Random(SEED + 1)
    for _ in range(20):
        events = random_events(rng, 300)
        outcomes = day_outcomes(events, DAY, low_policy(rng))
        places = [(each.partition, each.offset) for each in outcomes]
        assert len(places) == len(set(places))
        assert set(places) <= {(each.partition, each.offset) for each in events if each.event_day == DAY}


def test_nothing_is_found_in_nothing(spark: SparkSession) -> None:
    assert day_outcomes([], DAY, SHIPPED) == []
    assert in_spark(spark, {DAY: []}, SHIPPED) == {DAY: []}


@pytest.mark.parametrize("reason", DayReason)
def test_a_demoted_reason_makes_nothing_invalid_alone(reason: DayReason) -> None:
    rng = random.Random(SEED + 2)
    for _ in range(10):
        policy, events = low_policy(rng), random_events(rng, 200)
        demoted = TrafficPolicy(**{**vars(policy), "demoted": frozenset(each.code for each in DayReason)})
        outcomes = day_outcomes(events, DAY, demoted)
        assert all(each.points >= 100 for each in outcomes if each.outcome == "invalid")
        assert not any(
            each.reason == reason.code and each.points < 100 and each.outcome == "invalid" for each in outcomes
        )
