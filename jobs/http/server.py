"""Run an ASGI application in the foreground until it is stopped, without an error for a client.

After a stop signal it keeps answering for `drain_seconds`: `/readyz` answers 503, so that a load balancer sends no
more, and every answer has `Connection: close`, so that clients reconnect elsewhere. Then it finishes open requests.
"""

import gc
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.connections import ConnectionLimits, Connections, within_open_files
from jobs.settings.declared.listening import BIND_HOST, DRAIN_SECONDS, LISTEN_FD
from jobs.settings.kinds import Whole

GRACE_SECONDS = 10
LAST_REQUEST_SECONDS = 0.3
"""The time in which a connection that was accepted last must send its request."""
IDLE_SECONDS_MAX = 75
"""Longer than proxies usually keep an idle connection (60 s): closing one could cross a request on its way."""
CONNECTION_BACKLOG = 2048
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True)
class HttpSettings:
    """The address, and the drain time after a stop signal."""

    host: str
    port: int
    port_variable: str
    inherited: int | None
    """The number of a listening socket that the parent process opened. Several processes may share
    it: any of them accepts a waiting connection, so none is lost while they are restarted in turn."""
    drain_seconds: float
    limits: ConnectionLimits

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], port: Whole) -> "HttpSettings":
        """Read the address, the drain time and the limits; `port` is the setting of the port."""
        return cls(
            host=BIND_HOST.read(environ),
            port=port.read(environ),
            port_variable=port.name,
            inherited=LISTEN_FD.read_if_set(environ),
            drain_seconds=DRAIN_SECONDS.read(environ),
            limits=ConnectionLimits.from_environ(environ),
        )

    def listen(self) -> socket.socket:
        """Listen, or use the inherited socket; raise CommandError that names the setting."""
        if self.inherited is not None:
            return inherited_socket(self.inherited)
        return listening_socket(self.host, self.port, self.port_variable)

    def serve(self, app: Any, listener: socket.socket) -> ExitCode:
        """Serve on the result of `listen`; see the function."""
        is_shared = self.inherited is not None
        return serve(app, listener, drain_seconds=self.drain_seconds, is_shared=is_shared, limits=self.limits)


def listening_socket(host: str, port: int, variable: str) -> socket.socket:
    """Listen, or raise CommandError that names the address and the setting that moves it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CommandError(
            f"cannot listen on {host}:{port} ({error.strerror}); stop what holds the port, or set {variable}",
            ExitCode.UNAVAILABLE,
        ) from error
    return listener


def inherited_socket(number: int) -> socket.socket:
    """Use an open socket by its number; raise CommandError if it does not accept connections."""
    try:
        listener = socket.socket(fileno=number)
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return listener
    except OSError:
        pass
    raise CommandError(
        f"{LISTEN_FD.name} is {number}; it must be the number of an open socket that listens", ExitCode.BAD_INPUT
    )


def serve(
    app: Any,
    listener: socket.socket,
    *,
    drain_seconds: float = 0.0,
    is_shared: bool = False,
    limits: ConnectionLimits | None = None,
) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C, then drain and finish open requests, within GRACE_SECONDS.

    A second signal ends the draining. `is_shared`: other processes accept the connections that wait in the socket, so
    this one accepts none after a stop signal.
    """
    drain = Drain(drain_seconds, is_shared=is_shared)
    # What the start made lives as long as the process: to walk it in every full collection took a fifth of a busy API's
    # time, in pauses of 60 to 80 ms.
    gc.collect()
    gc.freeze()
    try:
        DrainingServer(_config(announcing(app, drain), limits), drain).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises a second signal again once it has stopped
        pass
    finally:
        listener.close()
    return ExitCode.OK


@contextmanager
def served_beside(app: Any, listener: socket.socket, limits: ConnectionLimits | None = None) -> Iterator[None]:
    """Serve from a thread of its own until the block ends, with the same limits."""
    server = uvicorn.Server(_config(app, limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _config(app: Any, limits: ConnectionLimits | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Connections(within_open_files(limits or ConnectionLimits())).protocol(),
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        backlog=CONNECTION_BACKLOG,
        proxy_headers=False,  # who the client is, is decided by the application
        timeout_keep_alive=IDLE_SECONDS_MAX,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class Drain:
    """The time between the stop signal and the stop."""

    def __init__(
        self, seconds: float, *, is_shared: bool = False, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._listens_for = 0.0 if is_shared else seconds
        self._lasts = seconds + LAST_REQUEST_SECONDS
        self._monotonic = monotonic
        self._begun_at: float | None = None

    @property
    def has_begun(self) -> bool:
        """Return whether a stop signal came."""
        return self._begun_at is not None

    @property
    def is_listening(self) -> bool:
        """Return whether new connections are accepted."""
        return self._begun_at is None or self._monotonic() < self._begun_at + self._listens_for

    @property
    def is_over(self) -> bool:
        """Return whether idle connections may be closed, and the process may stop."""
        return self._begun_at is not None and self._monotonic() >= self._begun_at + self._lasts

    def begin(self) -> None:
        """Note the stop signal."""
        self._begun_at = self._monotonic()


class DrainingServer(uvicorn.Server):
    """Uvicorn's server, which stops listening and then stops when the drain allows it."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain at the first signal; end it at the second."""
        if self._drain.has_begun:
            super().handle_exit(sig, frame)
        else:
            self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Run ten times a second; return True to end the server."""
        if not self._drain.is_listening:
            for server in self.servers:
                server.close()
        self.should_exit = self.should_exit or self._drain.is_over
        return await super().on_tick(counter)


def announcing(app: Any, drain: Drain) -> Any:
    """Return the application with a notice to clients and load balancers during the drain."""

    async def announced(scope: Message, receive: Any, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and drain.has_begun:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        if scope["type"] != "http":
            await app(scope, receive, send)
        elif drain.has_begun and scope["path"] == "/readyz":
            await _not_ready(send_and_close)
        else:
            await app({**scope, "is_stopping": lambda: drain.has_begun}, receive, send_and_close)

    return announced


async def _not_ready(send: Send) -> None:
    body = Problem(503, "stopping", "this process is about to stop; another one takes over", "process").to_json()
    headers = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
