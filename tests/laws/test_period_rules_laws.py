"""Laws of the rules of a period: Spark finds what the plain model finds, in any order and partitioning of rows."""

import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, timedelta

from pyspark.sql import SparkSession

from batch_layer.traffic.allowed import Allowed
from batch_layer.traffic.day_events import DayEvent, DayOutcome
from batch_layer.traffic.period_rules import PayeeViewer, period_outcomes
from batch_layer.traffic.spark_day_rules import SCHEMA
from batch_layer.traffic.spark_period_rules import period_outcomes as spark_period_outcomes
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy
from ingestion.contract.traffic_reasons import PeriodReason
from tests.random_day_events import DAY, low_policy, random_events, some_allowed

SEED = 20_261_129
FIELDS = DayOutcome._fields


def in_spark(
    spark: SparkSession,
    events: Iterable[DayEvent],
    payee_viewers: Collection[PayeeViewer],
    days: Collection[date],
    policy: TrafficPolicy,
    *,
    partitions: int = 1,
    allowed: Allowed = (),
) -> list[DayOutcome]:
    rows = spark.createDataFrame([(*event, DAY) for event in events], SCHEMA).repartition(partitions).localCheckpoint()
    viewers = spark.createDataFrame(list(payee_viewers), "payee_id string, user_id string")
    found = spark_period_outcomes(rows, viewers, policy, allowed).select(*FIELDS).collect()
    return sorted(outcome for row in found if (outcome := DayOutcome(*row)).event_day in days)


def low_period_policy(rng: random.Random) -> TrafficPolicy:
    """A policy that some hundred events of few viewers can break."""
    even = {"even_days": 2, "even_views": 1, "even_ratio_review": 1, "even_ratio_invalid": rng.choice((1, 2, 12))}
    ring = {"ring_views": rng.randint(1, 3), "ring_days": rng.randint(1, 2), "ring_repeats": 1, "paid_seconds": 30}
    names = frozenset(each.code for each in PeriodReason if rng.random() < 0.3)
    most = rng.choice((1, 2, 5))
    return replace(
        low_policy(rng),
        **even,
        **ring,
        weeks_witness_views_max=most,
        weeks_viewer_views_max=rng.choice((3, 20, 90)),
        demoted=names,
    )  # type: ignore[arg-type]


def random_weeks(rng: random.Random, count: int) -> list[DayEvent]:
    """Events of up to eight days; some viewers see one payee alone, and as often on each day."""
    pairs = rng.randint(1, 4)
    found = [
        each._replace(
            offset=number * 1_000 + each.offset,
            happened_at=each.happened_at - timedelta(days=2 * number),
            event_day=each.event_day - timedelta(days=2 * number),
        )
        for number in range(pairs)
        for each in random_events(rng, count // pairs)
    ]
    pattern = found[0]._replace(length_seconds=300, payee_id="p0", video_id="v-even", view_duration=60)
    for viewer in range(3):
        for back in range(rng.randint(1, 2 * pairs)):
            for at in range(rng.randint(2, 2 + viewer)):
                happened = pattern.happened_at.replace(hour=at) - timedelta(days=back)
                place = {"partition": 9, "offset": len(found), "event_id": f"even-{len(found)}"}
                when = {"happened_at": happened, "event_day": happened.date()}
                found.append(pattern._replace(user_id=f"even-{viewer}", **place, **when))
    rng.shuffle(found)
    return found


def random_payee_viewers(rng: random.Random) -> list[PayeeViewer]:
    """Who the payees are; some have two viewers, some viewers are two payees."""
    return [(f"p{rng.randrange(3)}", f"u{viewer}") for viewer in range(12) for _ in range(rng.choice((0, 1, 2)))]


def test_spark_finds_what_the_model_finds_in_any_order_and_partitioning(spark: SparkSession) -> None:
    rng = random.Random(SEED)
    seen: Counter[tuple[str, str]] = Counter()
    exempt_count = 0
    for number in range(8):
        policy, events, viewers = low_period_policy(rng), random_weeks(rng, 260), random_payee_viewers(rng)
        policy, allowed = some_allowed(random.Random(number), policy)
        allowed = allowed if number % 2 else ()
        days = {DAY - timedelta(days=back) for back in range(rng.choice((1, 3, 8)))}
        expected = period_outcomes(events, viewers, days, policy, allowed)
        exempt_count += len(period_outcomes(events, viewers, days, policy)) - len(expected)
        found = in_spark(spark, events, viewers, days, policy, partitions=rng.choice((1, 2, 5)), allowed=allowed)
        assert found == expected, (SEED, number, set(found) ^ set(expected))
        seen.update((each.reason, each.outcome) for each in expected)
    assert {reason for reason, _ in seen} == {each.code for each in PeriodReason}, seen
    assert {outcome for _, outcome in seen} == {"invalid", "review"}, seen
    assert exempt_count, "an allow-list that exempts nobody shows nothing"


def test_nothing_is_found_in_nothing(spark: SparkSession) -> None:
    assert period_outcomes([], [("p", "u")], {DAY}, SHIPPED) == []
    assert in_spark(spark, [], [], {DAY}, SHIPPED) == []


def test_the_order_of_events_and_of_payees_changes_nothing() -> None:
    rng = random.Random(SEED + 1)
    for _ in range(20):
        policy, events, viewers = low_period_policy(rng), random_weeks(rng, 200), random_payee_viewers(rng)
        days = {each.event_day for each in events}
        expected = period_outcomes(events, viewers, days, policy)
        rng.shuffle(events)
        rng.shuffle(viewers)
        assert period_outcomes(events, viewers, days, policy) == expected
        places = [each[:2] for each in expected]
        assert len(places) == len(set(places))
