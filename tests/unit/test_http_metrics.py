"""Metrics have a port of their own, which a process that replaces another takes over."""

import time

import httpx
import pytest

from jobs.errors import CommandError
from jobs.http.metrics import MetricsSettings
from jobs.local_stack.ports import free_ports, is_open
from jobs.settings.declared.listening import API_METRICS_PORT


def settings(port: int, **environ: str) -> MetricsSettings:
    return MetricsSettings.from_environ({API_METRICS_PORT.name: str(port), **environ}, API_METRICS_PORT)


def read(port: int, path: str = "/metrics") -> httpx.Response:
    """Try until a server listens."""
    deadline = time.monotonic() + 10
    while not is_open(port):
        assert time.monotonic() < deadline
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30, trust_env=False)


def test_figures_are_on_their_port_and_nothing_else_is() -> None:
    port = free_ports().api_metrics
    with settings(port).served(lambda: b"some 1\n"):
        answer = read(port)
        assert (answer.status_code, answer.text) == (200, "some 1\n")
        for path in ("/", "/metrics/", "/v1/events", "/portal"):
            missing = read(port, path)
            assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert not is_open(port)


def test_without_a_port_nobody_listens() -> None:
    with settings(0).served(lambda: b""):
        pass
    assert MetricsSettings.from_environ({}, API_METRICS_PORT).port == 0


def test_a_port_that_is_taken_is_said_but_a_process_that_replaces_another_waits_for_it() -> None:
    port = free_ports().api_metrics
    with settings(port, VIEWLEDGER_LISTEN_FD="3").served(lambda: b"after 1\n"):
        assert read(port).text == "after 1\n"
        with pytest.raises(CommandError, match="PORT"), settings(port).served(lambda: b""):
            pass
    with settings(port).served(lambda: b"before 1\n"):
        assert read(port).text == "before 1\n"
        replacing = settings(port, VIEWLEDGER_LISTEN_FD="3").served(lambda: b"after 1\n")
        replacing.__enter__()
        assert read(port).text == "before 1\n"
    try:
        assert read(port).text == "after 1\n"
    finally:
        replacing.__exit__(None, None, None)
    assert not is_open(port)
