"""Nobody can fill the SQL server: what a client may have running, and for how long, by a clock of the test."""

import os
import socket
import threading
from contextlib import ExitStack, closing, suppress

import pytest

from batch_layer.published.spark_connect_shares import CALLS_MAX, Shares, ShareUsedError, StatementLimits, client_of


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shares(clock: Clock | None = None, seconds: float = 10, per_client: int = 4) -> Shares:
    return Shares(StatementLimits(seconds, per_client), clock=clock or Clock())


def test_a_client_has_its_share_of_statements_and_the_next_client_has_its_own() -> None:
    found = shares()
    for session in ("a", "b"):
        found.begin("anna", session, f"{session}1", None)
        found.begin("anna", session, f"{session}2", None)
    with pytest.raises(ShareUsedError, match="4 statements of this client are running, 0 of this session"):
        found.begin("anna", "c", "c1", None)
    found.begin("bob", "d", "d1", None)
    found.end("a1")
    found.begin("anna", "c", "c1", None)


def test_a_session_leaves_room_for_another_session_of_the_same_client() -> None:
    found = shares()
    found.begin("anna", "a", "1", None)
    found.begin("anna", "a", "2", None)
    with pytest.raises(ShareUsedError, match="2 of this session"):
        found.begin("anna", "a", "3", None)
    found.begin("anna", "b", "4", None)


def test_a_share_of_one_still_lets_one_statement_run() -> None:
    found = shares(per_client=1)
    found.begin("anna", "a", "1", None)
    with pytest.raises(ShareUsedError):
        found.begin("anna", "b", "2", None)


def test_the_same_operation_is_one_statement_whose_time_goes_on() -> None:
    clock = Clock()
    found = shares(clock, per_client=1)
    first = found.begin("anna", "a", "1", None)
    clock.now = 4
    assert found.begin("anna", "a", "1", None) is first
    assert found.seconds_left(first) == 6


def test_what_is_over_its_time_is_named_until_it_has_ended() -> None:
    clock = Clock()
    found = shares(clock)
    first = found.begin("anna", "a", "1", None)
    clock.now = 5
    second = found.begin("anna", "a", "2", None)
    assert found.overdue() == []
    clock.now = 10
    assert found.overdue() == [first]
    clock.now = 15
    assert found.overdue() == [first, second]
    found.end_session("a")
    assert found.overdue() == []


def test_a_client_has_its_share_of_requests_and_gets_it_back_however_they_end() -> None:
    found = shares()
    with ExitStack() as under_way:
        for _ in range(CALLS_MAX):
            under_way.enter_context(found.call("anna"))
        with (
            pytest.raises(ShareUsedError, match=f"{CALLS_MAX} requests of this client are under way"),
            found.call("anna"),
        ):
            pass
        with found.call("bob"):
            pass
    with pytest.raises(ValueError, match="broken"), found.call("anna"):
        raise ValueError("broken")
    with found.call("anna"):
        pass
    assert not found._calls


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:192.0.2.7:40222", "machine 192.0.2.7"),
        ("ipv4:192.0.2.7:40223", "machine 192.0.2.7"),
        ("ipv6:%5B2001:db8::1%5D:40222", "machine 2001:db8::1"),
        ("ipv4:127.0.0.1:1", "machine 127.0.0.1"),
        ("unix:", "machine unix:"),
    ],
)
def test_a_client_of_another_machine_is_that_machine_whatever_it_calls_itself(peer: str, client: str) -> None:
    assert client_of(peer) == client


@pytest.mark.parametrize(("host", "kind"), [("127.0.0.1", "ipv4"), ("::1", "ipv6")])
def test_a_client_on_this_machine_is_the_account_that_holds_the_connection(host: str, kind: str) -> None:
    family = socket.AF_INET if kind == "ipv4" else socket.AF_INET6
    with closing(socket.socket(family)) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            assert kind == "ipv6", "this machine has no ::1"
            return
        listener.listen()
        with closing(socket.create_connection(listener.getsockname()[:2])) as client:
            shown = host if kind == "ipv4" else f"%5B{host}%5D"
            assert client_of(f"{kind}:{shown}:{client.getsockname()[1]}") == f"account {os.getuid()}"


def test_many_threads_at_once_get_no_more_than_the_share() -> None:
    found, let_through, barrier = shares(per_client=8), [], threading.Barrier(40)

    def ask(number: int) -> None:
        barrier.wait()
        with suppress(ShareUsedError):
            let_through.append(found.begin("anna", f"session {number}", str(number), None))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(let_through) == 8
