"""The limit of events for each network: exact by the clock, and bounded in memory."""

import random
from typing import Any

import pytest

from ingestion.event_rates import FULL_AFTER_SECONDS, EventRates


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sent(rates: EventRates[Any], sender: str | int, events: int) -> int:
    """Return 0 when the events were let in, else how long they must wait."""
    wait = rates.seconds_to_wait(sender, events)
    if wait == 0:
        rates.take(sender, events)
    return wait


def test_asking_takes_nothing(clock: Clock) -> None:
    rates = EventRates[str](10, clock)
    assert [rates.seconds_to_wait("a", 600) for _ in range(3)] == [0] * 3
    assert rates.sender_count == 0
    rates.take("a", 600)
    assert [rates.seconds_to_wait("a", 600) for _ in range(3)] == [60] * 3


def test_a_network_may_send_a_minute_at_once_and_then_its_rate(clock: Clock) -> None:
    rates = EventRates[str](10, clock)
    assert [sent(rates, "a", 100) for _ in range(7)] == [0] * 6 + [10]
    assert sent(rates, "b", 100) == 0, "another network has a bucket of its own"
    clock.seconds += 9.0
    assert sent(rates, "a", 100) == 1
    assert sent(rates, "a", 90) == 0
    clock.seconds += 1.0
    assert sent(rates, "a", 10) == 0
    assert sent(rates, "a", 1) == 1


def test_after_the_wait_that_was_named_the_same_request_goes_through(clock: Clock) -> None:
    rng = random.Random(7)
    rates = EventRates[str](3, clock)
    for _ in range(2_000):
        events = rng.randrange(1, 400)
        if wait := sent(rates, "a", events):
            clock.seconds += wait
            assert sent(rates, "a", events) == 0
        clock.seconds += rng.random() * 10


def test_over_any_time_no_more_goes_through_than_a_bucket_and_the_rate(clock: Clock) -> None:
    rng = random.Random(8)
    rates, passed, began = EventRates[str](5, clock), 0, clock.seconds
    for _ in range(20_000):
        events = rng.randrange(1, 300)
        passed += 0 if sent(rates, "a", events) else events
        clock.seconds += rng.random() * 0.3
        assert passed <= 5 * (FULL_AFTER_SECONDS + clock.seconds - began) + 1e-6


def test_more_than_a_bucket_at_once_needs_a_full_one_and_is_never_refused_forever(clock: Clock) -> None:
    rates = EventRates[str](1, clock)
    assert sent(rates, "a", 500) == 0
    assert sent(rates, "a", 500) == 60


def test_memory_is_bounded_however_many_networks_come(clock: Clock) -> None:
    rates = EventRates[int](1, clock, senders_max=100)
    most = 0
    for network in range(10_000):
        sent(rates, network, 1)
        most = max(most, rates.sender_count)
    assert most <= 200
    clock.seconds += FULL_AFTER_SECONDS
    sent(rates, 1, 1)
    clock.seconds += FULL_AFTER_SECONDS
    sent(rates, 1, 1)
    assert rates.sender_count <= 2


def test_a_sender_who_goes_on_is_not_forgotten_when_the_halves_take_turns(clock: Clock) -> None:
    rates = EventRates[str](10, clock)
    assert sent(rates, "a", 600) == 0
    for _ in range(100):
        clock.seconds += 5.0
        assert sent(rates, "a", 60) == 1
        assert sent(rates, "a", 50) == 0


def test_zero_limits_nobody(clock: Clock) -> None:
    rates = EventRates[str](0, clock)
    assert {sent(rates, "a", 10**6) for _ in range(100)} == {0}
    assert rates.sender_count == 0
