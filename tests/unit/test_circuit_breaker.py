import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ingestion.contract.backoff import Backoff
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.resilience.circuit_breaker import BreakerState, CircuitBreaker
from jobs.resilience.circuit_breaker_metrics import show_breakers
from tests.examples import given, st
from tests.speed_fakes import FakeClock


class Server:
    """Answers, or is away; counts the calls that reached it."""

    name = "a server"

    def __init__(self) -> None:
        self.is_away = False
        self.calls = 0

    def ask(self, what: str = "answer") -> str:
        self.calls += 1
        if self.is_away:
            raise UnavailableError(Part.REDIS, "nobody there")
        return what

    async def ask_later(self, what: str = "answer") -> str:
        await asyncio.sleep(0)
        return self.ask(what)

    def refuse(self) -> None:
        self.calls += 1
        raise ValueError("asked wrongly")


def breaker_of(clock: FakeClock, *, failures_max: int = 3) -> CircuitBreaker:
    backoff = Backoff(1.0, 8.0)
    return CircuitBreaker(Part.REDIS, failures_max=failures_max, backoff=backoff, monotonic=clock, chance=lambda: 1.0)


def fail(guarded: Server, times: int) -> None:
    for _ in range(times):
        with pytest.raises(UnavailableError):
            guarded.ask()


def test_while_the_server_answers_the_breaker_is_not_noticed() -> None:
    guarded = breaker_of(FakeClock(0.0)).on(Server(), Server.ask)
    assert [guarded.ask(str(number)) for number in range(3)] == ["0", "1", "2"]
    assert guarded.name == "a server"


def test_after_three_failures_in_a_row_calls_fail_at_once_with_the_reason() -> None:
    server, breaker = Server(), breaker_of(FakeClock(0.0))
    guarded = breaker.on(server, Server.ask)
    server.is_away = True
    fail(guarded, 3)
    assert (server.calls, breaker.state) == (3, BreakerState.OPEN)
    reason = r"^redis did not answer; the circuit breaker is open: nobody there$"
    with pytest.raises(UnavailableError, match=reason):
        guarded.ask()
    assert server.calls == 3


def test_failures_that_are_not_in_a_row_open_nothing() -> None:
    server, breaker = Server(), breaker_of(FakeClock(0.0))
    guarded = breaker.on(server, Server.ask)
    for _ in range(5):
        server.is_away = True
        fail(guarded, 2)
        server.is_away = False
        guarded.ask()
    assert breaker.state is BreakerState.CLOSED


def test_after_the_pause_one_call_finds_out_and_its_answer_closes_the_breaker() -> None:
    clock, server = FakeClock(0.0), Server()
    breaker = breaker_of(clock)
    guarded = breaker.on(server, Server.ask)
    server.is_away = True
    fail(guarded, 3)
    clock.pass_by(4.0)
    assert breaker.state is BreakerState.HALF_OPEN
    server.is_away = False
    assert guarded.ask() == "answer"
    assert breaker.state is BreakerState.CLOSED


def test_pauses_grow_with_every_failed_call_up_to_their_bound() -> None:
    clock, server = FakeClock(0.0), Server()
    breaker = breaker_of(clock, failures_max=1)
    guarded = breaker.on(server, Server.ask)
    server.is_away = True
    pauses = []
    for _ in range(6):
        fail(guarded, 1)
        pauses.append(0.0)
        while breaker.state is BreakerState.OPEN:
            clock.pass_by(0.5)
            pauses[-1] += 0.5
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_while_one_call_finds_out_the_others_fail_at_once() -> None:
    async def scenario() -> None:
        clock, server = FakeClock(0.0), Server()
        breaker = breaker_of(clock, failures_max=1)
        guarded = breaker.on(server, Server.ask, Server.ask_later)
        server.is_away = True
        fail(guarded, 1)
        server.is_away = False
        clock.pass_by(1.0)
        probe = asyncio.create_task(guarded.ask_later())
        await asyncio.sleep(0)
        fail(guarded, 2)
        assert await probe == "answer"
        assert server.calls == 2
        assert guarded.ask() == "answer"

    asyncio.run(scenario())


def test_a_cancelled_call_leaves_the_next_one_to_find_out() -> None:
    async def scenario() -> None:
        clock, server = FakeClock(0.0), Server()
        breaker = breaker_of(clock, failures_max=1)
        guarded = breaker.on(server, Server.ask, Server.ask_later)
        server.is_away = True
        fail(guarded, 1)
        server.is_away = False
        clock.pass_by(1.0)
        probe = asyncio.create_task(guarded.ask_later())
        await asyncio.sleep(0)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert breaker.state is BreakerState.HALF_OPEN
        assert guarded.ask() == "answer"

    asyncio.run(scenario())


def test_an_error_of_another_kind_is_an_answer() -> None:
    server, breaker = Server(), breaker_of(FakeClock(0.0))
    guarded = breaker.on(server, Server.ask, Server.refuse)
    server.is_away = True
    fail(guarded, 2)
    with pytest.raises(ValueError, match="asked wrongly"):
        guarded.refuse()
    fail(guarded, 2)
    assert breaker.state is BreakerState.CLOSED


def test_the_failure_of_another_part_is_an_answer_of_this_one() -> None:
    class Store:
        part = Part.REDIS

        def ask(self) -> None:
            raise UnavailableError(self.part, "nobody there")

    store, breaker = Store(), breaker_of(FakeClock(0.0), failures_max=2)
    guarded = breaker.on(store, Store.ask)
    for part in (Part.REDIS, Part.POSTGRES, Part.REDIS):
        store.part = part
        with pytest.raises(UnavailableError, match=r"^nobody there$"):
            guarded.ask()
    assert breaker.state is BreakerState.CLOSED, "the two failures of Redis were not in a row"


def test_two_breakers_of_one_part_are_told_apart_by_name() -> None:
    registry = CollectorRegistry()
    show_breakers(registry, (CircuitBreaker(Part.KAFKA), CircuitBreaker(Part.KAFKA, name="dead_letters")))
    shown = generate_latest(registry).decode()
    assert 'circuit_breaker_state{part="kafka"} 0.0' in shown
    assert 'circuit_breaker_state{part="dead_letters"} 0.0' in shown


def test_threads_share_one_breaker() -> None:
    server, breaker = Server(), breaker_of(FakeClock(0.0))
    first, second = breaker.on(server, Server.ask), breaker.on(server, Server.ask)
    server.is_away = True
    threads = [threading.Thread(target=fail, args=(each, 10)) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 3 <= server.calls <= 4
    assert breaker.state is BreakerState.OPEN


def test_the_state_is_a_metric() -> None:
    server, breaker, registry = Server(), breaker_of(FakeClock(0.0), failures_max=1), CollectorRegistry()
    show_breakers(registry, (breaker,))
    assert 'circuit_breaker_state{part="redis"} 0.0' in generate_latest(registry).decode()
    server.is_away = True
    fail(breaker.on(server, Server.ask), 1)
    assert 'circuit_breaker_state{part="redis"} 2.0' in generate_latest(registry).decode()


@given(
    failures=st.integers(1, 10**6),
    first=st.floats(0.001, 10.0),
    most=st.floats(10.0, 600.0),
    chance=st.floats(0.0, 1.0, exclude_max=True),
)
def test_waits_are_bounded_and_never_shrink_below_half_of_the_first(
    failures: int, first: float, most: float, chance: float
) -> None:
    backoff = Backoff(first, most)
    wait = backoff.seconds(failures, lambda: chance)
    assert first / 2 <= wait <= most
    assert backoff.seconds(failures + 1, lambda: chance) >= wait
