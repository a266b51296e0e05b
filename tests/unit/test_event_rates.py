"""The limit of events for each network: exact by the clock, and bounded in memory."""

import random

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


def test_a_network_may_send_a_minute_at_once_and_then_its_rate(clock: Clock) -> None:
    rates = EventRates[str](10, clock)
    assert [rates.seconds_to_wait("a", 100) for _ in range(7)] == [0] * 6 + [10]
    assert rates.seconds_to_wait("b", 100) == 0, "another network has a bucket of its own"
    clock.seconds += 9.0
    assert rates.seconds_to_wait("a", 100) == 1
    assert rates.seconds_to_wait("a", 90) == 0
    clock.seconds += 1.0
    assert rates.seconds_to_wait("a", 10) == 0
    assert rates.seconds_to_wait("a", 1) == 1


def test_after_the_wait_that_was_named_the_same_request_goes_through(clock: Clock) -> None:
    rng = random.Random(7)
    rates = EventRates[str](3, clock)
    for _ in range(2_000):
        events = rng.randrange(1, 400)
        if wait := rates.seconds_to_wait("a", events):
            clock.seconds += wait
            assert rates.seconds_to_wait("a", events) == 0
        clock.seconds += rng.random() * 10


def test_over_any_time_no_more_goes_through_than_a_bucket_and_the_rate(clock: Clock) -> None:
    rng = random.Random(8)
    rates, passed, began = EventRates[str](5, clock), 0, clock.seconds
    for _ in range(20_000):
        events = rng.randrange(1, 300)
        passed += 0 if rates.seconds_to_wait("a", events) else events
        clock.seconds += rng.random() * 0.3
        assert passed <= 5 * (FULL_AFTER_SECONDS + clock.seconds - began) + 1e-6


def test_more_than_a_bucket_at_once_needs_a_full_one_and_is_never_refused_forever(clock: Clock) -> None:
    rates = EventRates[str](1, clock)
    assert rates.seconds_to_wait("a", 500) == 0
    assert rates.seconds_to_wait("a", 500) == 60


def test_memory_is_bounded_however_many_networks_come(clock: Clock) -> None:
    rates = EventRates[int](1, clock, senders_max=100)
    most = 0
    for network in range(10_000):
        rates.seconds_to_wait(network, 1)
        most = max(most, rates.sender_count)
    assert most <= 200
    clock.seconds += FULL_AFTER_SECONDS
    rates.seconds_to_wait(1, 1)
    clock.seconds += FULL_AFTER_SECONDS
    rates.seconds_to_wait(1, 1)
    assert rates.sender_count <= 2


def test_a_sender_who_goes_on_is_not_forgotten_when_the_halves_take_turns(clock: Clock) -> None:
    rates = EventRates[str](10, clock)
    assert rates.seconds_to_wait("a", 600) == 0
    for _ in range(100):
        clock.seconds += 5.0
        assert rates.seconds_to_wait("a", 60) == 1
        assert rates.seconds_to_wait("a", 50) == 0


def test_zero_limits_nobody(clock: Clock) -> None:
    rates = EventRates[str](0, clock)
    assert {rates.seconds_to_wait("a", 10**6) for _ in range(100)} == {0}
    assert rates.sender_count == 0
