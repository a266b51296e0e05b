import os
import socket

import pytest

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.server import Drain, HttpSettings, inherited_socket
from jobs.settings.declared.listening import API_PORT
from tests.speed_fakes import FakeClock


@pytest.mark.parametrize(("is_shared", "listens_for"), [(False, 2.0), (True, 0.0)])
def test_a_drain_first_stops_listening_and_then_leaves_the_last_requests_a_moment(
    is_shared: bool, listens_for: float
) -> None:
    clock = FakeClock(0.0)
    drain = Drain(2.0, is_shared=is_shared, monotonic=clock)
    clock.pass_by(100.0)
    assert (drain.has_begun, drain.is_listening, drain.is_over) == (False, True, False)
    drain.begin()
    states = []
    while not drain.is_over:
        states.append(drain.is_listening)
        clock.pass_by(0.25)
    assert drain.has_begun
    assert states.count(True) == listens_for * 4
    assert len(states) == 10
    assert not drain.is_listening


def test_a_listening_socket_is_taken_over_by_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        chosen = HttpSettings.from_environ({"VIEWLEDGER_LISTEN_FD": str(os.dup(opened.fileno()))}, API_PORT)
        with chosen.listen() as taken:
            assert taken.getsockname() == opened.getsockname()


def test_a_number_that_is_not_a_listening_socket_is_bad_input() -> None:
    with socket.socket() as silent:
        for number in (os.dup(silent.fileno()), 9_999):
            with pytest.raises(CommandError, match=f"VIEWLEDGER_LISTEN_FD is {number}; it must be") as refusal:
                inherited_socket(number)
            assert refusal.value.code is ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("name", "value"), [("VIEWLEDGER_DRAIN_SECONDS", "-1"), ("VIEWLEDGER_LISTEN_FD", "2"), ("VIEWLEDGER_API_PORT", "0")]
)
def test_a_setting_out_of_range_is_named(name: str, value: str) -> None:
    with pytest.raises(CommandError, match=name):
        HttpSettings.from_environ({name: value}, API_PORT)
