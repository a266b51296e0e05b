"""The bounds of today's estimate: the truth lies between them in any log, whenever it is cut."""

import random
from datetime import timedelta

import pytest

from ingestion.contract.counting import Billability, Outcome, Received, Verdict, settle
from ingestion.contract.event import ViewEvent
from serving_layer.money.todays_estimate import CHECKED_DAYS_LEAST, CheckedDay, ViewBounds, billable_bounds
from tests.shipped_policies import shipped_policy_on
from tests.unit.test_counting import NOON, received, view

TODAY = NOON.date()
CLEAN = [CheckedDay(10, 10, 0)] * CHECKED_DAYS_LEAST
HUGE = 10**15


def days_with(*days: CheckedDay) -> list[CheckedDay]:
    return [*days, *CLEAN]


def test_every_live_view_may_be_billable_and_no_settled_one_may_be_lost_where_none_ever_was() -> None:
    assert billable_bounds(100, 80, 7, CLEAN) == ViewBounds(80, 87)


@pytest.mark.parametrize(
    ("worst", "at_least"),
    [
        (CheckedDay(8, 6, 0), 75),
        (CheckedDay(8, 6, 2), 60),
        (CheckedDay(0, 0, 1), 0),
        (CheckedDay(9, 8, 0), 80),
        (CheckedDay(3, 1, 0), 33),
    ],
)
def test_at_least_as_many_remain_as_on_the_worst_checked_day(worst: CheckedDay, at_least: int) -> None:
    assert billable_bounds(100, 80, 7, days_with(worst)) == ViewBounds(at_least, 87)


def test_a_day_without_events_says_nothing_and_too_few_days_promise_nothing() -> None:
    assert billable_bounds(100, 80, 7, days_with(CheckedDay(0, 0, 0))).at_least == 80
    nearly = [*CLEAN[1:], CheckedDay(0, 0, 0)]
    assert billable_bounds(100, 80, 7, nearly) == ViewBounds(0, 87)
    assert billable_bounds(100, 80, 7, []) == ViewBounds(0, 87)


def test_without_live_views_nothing_is_said_about_at_most() -> None:
    assert billable_bounds(100, 80, None, CLEAN) == ViewBounds(80, None)
    assert billable_bounds(100, 80, 0, CLEAN) == ViewBounds(80, 80)


def test_nothing_and_very_much_have_bounds() -> None:
    assert billable_bounds(0, 0, 0, []) == ViewBounds(0, 0)
    assert billable_bounds(0, 0, HUGE, CLEAN) == ViewBounds(0, HUGE)
    assert billable_bounds(HUGE, HUGE, HUGE, days_with(CheckedDay(3, 2, 0))) == ViewBounds(HUGE * 2 // 3, 2 * HUGE)


def test_at_least_is_never_above_at_most_nor_above_what_is_billable_now() -> None:
    rng = random.Random(1)
    for _ in range(2_000):
        views = rng.choice([0, 1, 5, 1_000, HUGE])
        billable, live = rng.randint(0, views), rng.choice([0, 1, 50, HUGE])
        past = []
        for _ in range(rng.choice([0, 1, CHECKED_DAYS_LEAST, 99])):
            of_day = rng.choice([0, 1, 9, HUGE])
            past.append(CheckedDay(of_day, rng.randint(0, of_day), rng.choice([0, 0, 2, HUGE])))
        bounds = billable_bounds(views, billable, live, past)
        assert bounds.at_most is not None
        assert 0 <= bounds.at_least <= billable <= bounds.at_most


def random_log(rng: random.Random, days_back: int) -> list[Received]:
    """Repeats, conflicts, short and own views, and more views of one viewer and video than the cap allows."""
    events = []
    for _ in range(rng.randint(1, 60)):
        at = NOON - timedelta(days=rng.randint(0, days_back), minutes=rng.randrange(720))
        changes = {"view_duration": rng.choice([5, 60, 60, 61]), "revenue_eligible": rng.random() < 0.9}
        number = rng.randrange(80)
        events.append(view(number, at=at, video=rng.choice("vw"), user=rng.choice(["a", "a", "b"]), **changes))
    return received(*events)


def counts_of(log: list[Received], cut: int = 0) -> tuple[int, int, int]:
    """Views and billable views of today, and all counted views at and after an offset."""
    found = settle(log, {}, shipped_policy_on)
    counted: list[tuple[int, ViewEvent, Outcome]] = [
        (each.offset, each.decoded, outcome)
        for each in log
        for outcome in [found[each.partition, each.offset]]
        if outcome.verdict is Verdict.COUNTED and isinstance(each.decoded, ViewEvent)
    ]
    today = [outcome for _, event, outcome in counted if event.timestamp.date() == TODAY]
    billable = sum(each.billability is Billability.BILLABLE for each in today)
    return len(today), billable, sum(offset >= cut for offset, _, _ in counted)


@pytest.mark.parametrize("days_back", [0, 1])
def test_the_truth_lies_within_wherever_a_log_is_cut(days_back: int) -> None:
    rng, seen = random.Random(days_back), set[tuple[bool, bool]]()
    for _ in range(300):
        log = random_log(rng, days_back)
        cut = rng.randint(0, len(log))
        views, billable, _ = counts_of(log[:cut])
        _, truth, live = counts_of(log, cut)
        at_least, at_most = billable_bounds(views, billable, live, CLEAN)
        assert at_most is not None
        assert truth <= at_most
        if not days_back:
            assert at_least <= truth
            seen.add((at_least < truth, truth < at_most))
    assert days_back or seen == {(False, False), (False, True), (True, False), (True, True)}


def test_a_late_view_of_yesterday_can_take_the_place_of_one_of_today_under_the_cap() -> None:
    """Then yesterday has one more."""
    four = [view(number, at=NOON - timedelta(minutes=number), user="a") for number in range(4)]
    late = view(9, at=NOON - timedelta(hours=13), user="a")
    assert counts_of(received(*four))[1] == 4
    assert counts_of(received(*four, late))[1] == 3
