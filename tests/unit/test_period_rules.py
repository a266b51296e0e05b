"""The rules of a period find what honest people cannot do for weeks, and leave alone what they do."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.period_rules import PayeeViewer, period_outcomes
from bench.labelled import families_of_weeks as families
from bench.labelled.world import World
from ingestion.contract.traffic_policy import SHIPPED
from tests.day_events import view_at

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = frozenset(FIRST.date() + timedelta(days=each) for each in range(30))
OWNERS = [("p", "pat"), ("q", "quinn"), ("q", "quinn's second device")]


def view(number: int, day: int, **fields: object) -> DayEvent:
    """A view of one viewer that was left in its middle."""
    happened = FIRST + timedelta(days=day, hours=8, minutes=number % 600)
    return view_at(number, happened, **fields)


def on_days(counts: Sequence[int], **fields: object) -> list[DayEvent]:
    """Some views on each day."""
    return [view(100 * day + each, day, **fields) for day, count in enumerate(counts) for each in range(count)]


def reasons(events: list[DayEvent], days: frozenset[date] = DAYS) -> Counter[tuple[str, str]]:
    return Counter((each.reason, each.outcome) for each in period_outcomes(events, OWNERS, days, SHIPPED))


def test_the_same_number_of_views_that_are_left_on_every_day_is_a_program() -> None:
    assert reasons(on_days([5] * 20)) == {("even_days", "invalid"): 100}
    assert reasons(on_days([4, 5, 6, 5] * 5)) == {("even_days", "review"): 100}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (on_days([5] * 13), "not for long"),
        (on_days([5] * 10 + [0] + [5] * 10), "a day of rest"),
        (on_days([2] * 20), "few a day"),
        (on_days([1, 9, 3, 7] * 5), "as people do"),
        (on_days([5] * 20, view_duration=600), "a list that goes on by itself"),
        (on_days([5] * 20, view_duration=20), "too short to be paid"),
        (on_days([5] * 20, payee_id=None), "nobody is paid"),
        (on_days([5] * 20, user_id=None), "nobody knows whose they are"),
        ([*on_days([5] * 20), view(9_999, 3, payee_id="q")], "another payee, too"),
    ],
)
def test_other_even_viewers_are_left_alone(events: list[DayEvent], why: str) -> None:
    assert not reasons(events), why


def watched(viewer: str, payee: str, *, days: int = 14, videos: int = 5, first: int = 0) -> list[DayEvent]:
    """Whole views of few videos of a payee, four on each day."""
    return [
        view(number, number // 4, user_id=viewer, payee_id=payee, video_id=f"{payee}{number % videos}")._replace(
            offset=first + number, view_duration=600
        )
        for number in range(4 * days)
    ]


def test_payees_who_watch_the_same_videos_of_one_another_for_weeks_are_looked_at() -> None:
    events = [*watched("pat", "q"), *watched("quinn", "p", first=500)]
    assert reasons(events) == {("payees_in_a_ring", "review"): 112}
    half = watched("quinn", "p", first=500)
    shared = [each._replace(user_id="quinn's second device") if each.offset % 2 else each for each in half]
    assert reasons([*watched("pat", "q"), *shared]) == {("payees_in_a_ring", "review"): 112}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([*watched("pat", "q"), *watched("fan", "p", first=500)], "a fan and a payee"),
        (watched("pat", "q"), "one way only"),
        ([*watched("pat", "q"), *watched("quinn", "p", first=500, videos=40)], "each video about once"),
        ([*watched("pat", "q", days=9), *watched("quinn", "p", first=500)], "not for weeks"),
        ([*watched("pat", "p"), *watched("quinn", "q", first=500)], "their own"),
    ],
)
def test_other_payees_who_watch_are_left_alone(events: list[DayEvent], why: str) -> None:
    assert not reasons(events), why


def test_only_days_that_are_asked_for_have_outcomes_and_the_rules_see_the_others() -> None:
    last = frozenset({FIRST.date() + timedelta(days=19)})
    assert reasons(on_days([5] * 20), last) == {("even_days", "invalid"): 5}
    assert not reasons(on_days([0] * 19 + [5]), last)


def world_of_weeks() -> tuple[World, dict[str, str]]:
    """Ordinary people and all families for 30 days, and the outcome of each event that has one."""
    world = World(12, size=20_000, days=30)
    world.ordinary()
    for family in (*families.HONEST, *families.ATTACKS):
        family(world)
    ids = {(each.partition, each.offset): each.event_id for each in world.events}
    owners: list[PayeeViewer] = world.owners
    found = period_outcomes(world.events, owners, {each.event_day for each in world.events}, SHIPPED)
    return world, {ids[each.partition, each.offset]: each.outcome for each in found}


def test_families_of_weeks_that_chose_no_threshold() -> None:
    """Classes, clubs, loops, relays, waiting rooms and families pass; slow farms, quotas and rings do not."""
    world, outcomes = world_of_weeks()
    honest, attacks = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for event_id, label in world.labels.items():
        counted = attacks if label.is_attack else honest
        counted.update([(label.family, "all"), (label.family, outcomes.get(event_id, "none"))])
    names = {family for family, _ in honest}
    assert {each.__name__ for each in families.HONEST} <= names
    count = sum(honest[name, "all"] for name in names)
    assert sum(honest[name, "invalid"] for name in names) <= count / 1_000, honest
    assert sum(honest[name, "review"] for name in names) <= count / 100, honest
    for name in names:
        # some watch a payee who is attacked, and one of few is more than the share that is asked for
        assert honest[name, "invalid"] <= max(1, honest[name, "all"] / 200), (name, honest)
        assert honest[name, "review"] <= honest[name, "all"] / 5, (name, honest)
    for family in families.ATTACKS:
        name = family.__name__
        assert attacks[name, "invalid"] + attacks[name, "review"] > attacks[name, "all"] / 4, (name, attacks)


def test_the_order_of_events_says_nothing() -> None:
    events = [*on_days([5] * 20), *watched("pat", "q", first=5_000), *watched("quinn", "p", first=6_000)]
    expected = period_outcomes(events, OWNERS, DAYS, SHIPPED)
    random.Random(3).shuffle(events)
    assert period_outcomes(events, OWNERS, DAYS, SHIPPED) == expected
