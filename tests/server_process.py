"""One of our HTTP processes, started as an operator starts it, for tests that need the real thing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from jobs.child.process import bound_to_parent
from jobs.local_stack.ports import free_ports

READY_WITHIN_SECONDS = 60.0
STOPPED_WITHIN_SECONDS = 20.0
MAIN = """
import importlib, signal, sys
def interrupted(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, interrupted)
sys.exit(importlib.import_module(sys.argv[1]).run())
"""


@dataclass
class ServerProcess:
    """A running server and a client for it."""

    process: "subprocess.Popen[bytes]"
    client: httpx.Client

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPPED_WITHIN_SECONDS)


@contextmanager
def server_process(
    module: str, port_variable: str, environ: Mapping[str, str], *, metrics_port: int = 0, port: int = 0
) -> Iterator[ServerProcess]:
    """Start `module`, wait until it is alive, end it at the end.

    A `port` of 0 is any free one, a `metrics_port` of 0 is none.
    """
    of_metrics = dict.fromkeys(("VIEWLEDGER_API_METRICS_PORT", "VIEWLEDGER_COLLECTOR_METRICS_PORT"), str(metrics_port))
    port = port or free_ports().api
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, module],
        env={**os.environ, **environ, **of_metrics, port_variable: str(port)},
        stdout=subprocess.DEVNULL,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            wait_until_alive(process, client)
            yield ServerProcess(process, client)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until_alive(process: "subprocess.Popen[bytes]", client: httpx.Client) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, f"the server ended with {process.returncode} before it was alive"
        assert time.monotonic() < deadline, "the server was not alive in time"
        time.sleep(0.05)
