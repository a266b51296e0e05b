import os
import socket

import pytest

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http_server import Drain, HttpSettings, inherited_socket
from tests.speed_fakes import FakeClock


def test_a_drain_is_over_after_its_seconds_and_never_before_it_began() -> None:
    clock = FakeClock(0.0)
    drain = Drain(2.0, clock)
    clock.pass_by(100.0)
    assert not drain.has_begun
    assert not drain.is_over
    drain.begin()
    clock.pass_by(1.5)
    assert drain.has_begun
    assert not drain.is_over
    clock.pass_by(0.5)
    assert drain.is_over


def test_a_listening_socket_is_taken_over_by_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        chosen = HttpSettings.from_environ({"VIEWLEDGER_LISTEN_FD": str(os.dup(opened.fileno()))}, "PORT", 1)
        with chosen.listen() as taken:
            assert taken.getsockname() == opened.getsockname()


def test_a_number_that_is_no_listening_socket_is_bad_input() -> None:
    with socket.socket() as silent:
        for number in (os.dup(silent.fileno()), 9_999):
            with pytest.raises(CommandError, match=f"VIEWLEDGER_LISTEN_FD is {number}; it must be") as refusal:
                inherited_socket(number)
            assert refusal.value.code is ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("name", "value"), [("VIEWLEDGER_DRAIN_SECONDS", "-1"), ("VIEWLEDGER_LISTEN_FD", "2"), ("PORT", "0")]
)
def test_a_setting_out_of_range_is_named(name: str, value: str) -> None:
    with pytest.raises(CommandError, match=name):
        HttpSettings.from_environ({name: value}, "PORT", 1)
