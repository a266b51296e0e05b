import os
import socket
import subprocess
import sys

import pytest

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.server import Drain, HttpSettings, inherited_socket
from jobs.settings.declared.listening import API_PORT
from jobs.settings.state_home import PROJECT
from tests.speed_fakes import FakeClock

STARTED = """
import gc, os, signal
from jobs.http.server import listening_socket, serve

made_at_the_start = [[]]

async def app(scope, receive, send):
    await receive()
    walked = gc.get_objects()
    print(any(each is made_at_the_start for each in walked), flush=True)
    await send({"type": "lifespan.startup.complete"})
    os.kill(os.getpid(), signal.SIGTERM)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

print(any(each is made_at_the_start for each in gc.get_objects()), flush=True)
raise SystemExit(serve(app, listening_socket("127.0.0.1", 0, "port")))
"""


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


def test_a_server_does_not_walk_the_objects_of_its_start_whenever_garbage_is_collected() -> None:
    environ = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-P", "-c", STARTED]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert (ended.stdout.split(), ended.returncode) == (["True", "False"], 0), ended.stderr
