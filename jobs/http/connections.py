"""Bound a client's use of a server before its request reaches the application: connections, headers, time.

Uvicorn bounds none of it. The protocol object of each connection enforces the bounds; a request within them costs a
few additions, no timer.
"""

import asyncio
import resource
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from httptools import HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ingestion.client_network import trusted_proxies
from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from jobs.settings.declared.listening import (
    HTTP_BODY_SECONDS,
    HTTP_CONNECTIONS,
    HTTP_CONNECTIONS_PER_ADDRESS,
    HTTP_HEADER_BYTES,
    HTTP_HEADER_SECONDS,
    HTTP_STALL_SECONDS,
    HTTP_URL_BYTES,
    TRUSTED_PROXIES,
)

OTHER_FILES = 256
"""File descriptors that a process needs besides clients' connections."""
PIPELINED_MAX = 16
"""Requests that wait on one connection while an earlier one is answered."""
FRAMING_BYTES_MAX = 64 * 1024
"""Allowed bytes around a body in addition to its own size: sizes of chunks, their extensions, trailers."""
SINGLE = frozenset(b"host authorization cookie content-type content-encoding idempotency-key origin".split())
"""Headers that identify the sender must appear once: of two, a proxy could check one and the application the other."""
LINGER_SECONDS = 0.5
"""How long the rest of a refused request is read and dropped; a reset would lose the answer."""


@dataclass(frozen=True)
class ConnectionLimits:
    """The limits: numbers, times and sizes."""

    connections_max: int = 5_000
    address_connections_max: int = 500
    """From one address that is not a trusted proxy's."""
    url_bytes_max: int = 8 * 1024
    header_bytes_max: int = 32 * 1024
    headers_max: int = 100
    header_seconds_max: float = 10.0
    """From the connection, or the first byte of a further request, to the end of its headers."""
    body_seconds_max: float = 120.0
    """A backstop: each route has a shorter time and an answer of its own."""
    stall_seconds_max: float = 60.0
    """How long a client may leave sent data unread."""
    proxies: frozenset[str] = frozenset()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ConnectionLimits":
        """Read the limits; raise CommandError(BAD_INPUT) for wrong ones."""
        return cls(
            connections_max=HTTP_CONNECTIONS.read(environ),
            address_connections_max=HTTP_CONNECTIONS_PER_ADDRESS.read(environ),
            url_bytes_max=HTTP_URL_BYTES.read(environ),
            header_bytes_max=HTTP_HEADER_BYTES.read(environ),
            header_seconds_max=HTTP_HEADER_SECONDS.read(environ),
            body_seconds_max=HTTP_BODY_SECONDS.read(environ),
            stall_seconds_max=HTTP_STALL_SECONDS.read(environ),
            proxies=read_proxies(environ),
        )


def read_proxies(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the trusted proxies; raise CommandError(BAD_INPUT) for wrong ones."""
    return trusted_proxies(",".join(TRUSTED_PROXIES.read(environ)))


def within_open_files(limits: ConnectionLimits) -> ConnectionLimits:
    """Raise the process's limit of open files as far as allowed, and return the number of connections that fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    wanted = limits.connections_max + OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return replace(limits, connections_max=max(1, min(limits.connections_max, soft - OTHER_FILES)))


@dataclass
class Connections:
    """The connections of one server."""

    limits: ConnectionLimits
    by_address: Counter[str] = field(default_factory=Counter)

    def protocol(self) -> Any:
        """Return the factory of uvicorn's protocol objects."""
        return partial(BoundedProtocol, self)


class _RefusedError(Exception):
    """Ends the parsing of a request; the refusal gives the reason."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol within the limits."""

    def __init__(self, shared: Connections, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._shared, self._limits = shared, shared.limits
        self._address = ""
        self._is_in_headers, self._is_in_body, self._is_refused, self._is_upgrade = True, False, False, False
        self._arrived = b""
        self._raw_bytes = self._body_bytes = self._requests = 0
        self._refusal: Problem | None = None
        self._timed: tuple[str, int] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; refuse it if there are too many."""
        super().connection_made(transport)
        limits, self._address = self._limits, self.client[0] if self.client else ""
        self._shared.by_address[self._address] += 1
        if len(self.connections) > limits.connections_max:
            self._refuse(Problem(503, "connections_exhausted", "too many connections are open; try again", "process"))
        elif (
            self._shared.by_address[self._address] > limits.address_connections_max
            and self._address not in limits.proxies
        ):
            most = limits.address_connections_max
            self._refuse(Problem(429, "connections_exhausted", f"this address has {most} connections open already"))
        else:
            self._watch(("headers", 0), limits.header_seconds_max)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._shared.by_address[self._address] -= 1
        if self._shared.by_address[self._address] <= 0:
            del self._shared.by_address[self._address]
        for timer in (self._late, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Accept received bytes, within the bounds of a request."""
        if self._is_refused:
            return
        self._raw_bytes += len(data)
        self._arrived = data
        super().data_received(data)
        self._arrived = b""
        if self._is_refused or self.transport.is_closing():
            return
        limits = self._limits
        if self._is_in_headers and self._raw_bytes > limits.header_bytes_max:
            self._refuse(_headers_too_large(limits))
        elif self._is_in_body and self._raw_bytes > FRAMING_BYTES_MAX + 2 * self._body_bytes:
            self._refuse(Problem(400, "body_malformed", "far more bytes frame the body than it has"))
        elif self._is_in_headers and self._raw_bytes:
            self._watch(("headers", self._requests), limits.header_seconds_max)
        elif self._is_in_body:
            self._watch(("body", self._requests), limits.body_seconds_max)
        elif self._late is not None:
            self._late.cancel()
            self._late = self._timed = None

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        if len(self.pipeline) >= PIPELINED_MAX:
            self._refusal = Problem(400, "request_malformed", f"more than {PIPELINED_MAX} requests wait for an answer")
            raise _RefusedError
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Accept a header; one that comes after the body (a trailer) is ignored, since it was not checked."""
        if not self._is_in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the headers as a whole before the application sees them."""
        limits = self._limits
        if len(self.url) > limits.url_bytes_max:
            most = limits.url_bytes_max
            self._refusal = Problem(
                414, "url_too_long", f"the URL has {len(self.url)} bytes; at most {most} are allowed"
            )
        elif (
            len(self.headers) > limits.headers_max
            or sum(len(name) + len(value) for name, value in self.headers) > limits.header_bytes_max
        ):
            self._refusal = _headers_too_large(limits)
        elif len(single := [name for name, _ in self.headers if name in SINGLE]) > len(set(single)):
            twice = max(single, key=single.count).decode()
            self._refusal = Problem(400, "request_malformed", f"the header {twice} appears twice; send it once")
        elif self.parser.get_method() == b"CONNECT":
            self._refusal = Problem(400, "request_malformed", "CONNECT is for proxies; this server is not a proxy")
        if self._refusal is not None:
            raise _RefusedError
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        self._is_in_headers, self._is_in_body = False, True
        self._raw_bytes = self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the body's own bytes."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete; another may follow."""
        if self._is_upgrade:
            return
        self._is_in_headers, self._is_in_body = True, False
        self._raw_bytes, self._requests = 0, self._requests + 1
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Parse a request for another protocol once more, without `Upgrade`: its body would be taken for requests."""
        self._is_upgrade, upgraded = False, sys.exception()
        rest = self._arrived[upgraded.args[0] :] if upgraded is not None else b""
        head = [b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        head += [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self._arrived = b"".join([*head, b"\r\n", rest])
        self.parser = HttpRequestParser(self)  # the former may be at its end, as after `Connection: close`
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        super().data_received(self._arrived)

    def on_response_complete(self) -> None:
        """Close after an answer even if the client does not read it."""
        super().on_response_complete()
        if self.transport.is_closing() and self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stall_seconds_max, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Close likewise if nothing more was received."""
        super().timeout_keep_alive_handler()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stall_seconds_max, self.transport.abort)

    def pause_writing(self) -> None:
        """Stop sending: the client does not read."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stall_seconds_max, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue sending: the client reads again."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, in the form of every other problem."""
        self._refuse(self._refusal or Problem(400, "request_malformed", "this is not a valid HTTP request"))

    def _watch(self, what: tuple[str, int], seconds: float) -> None:
        """Start the timer of the present wait; a wait that is already running keeps the rest of its time."""
        if self._timed != what:
            if self._late is not None:
                self._late.cancel()
            self._timed, self._late = what, self.loop.call_later(seconds, self._is_late)

    def _is_late(self) -> None:
        if self._is_in_headers and self._raw_bytes and (self.cycle is None or self.cycle.response_complete):
            seconds = self._limits.header_seconds_max
            self._refuse(Problem(408, "headers_too_slow", f"the headers did not arrive within {seconds:g} seconds"))
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer, and close; while another answer is in progress on the connection, only close."""
        self._is_refused = True
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = problem.to_json()
        head = f"content-type: {PROBLEM_MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[problem.status] + head.encode() + body)
        self.transport.write_eof()
        if self._late is not None:
            self._late.cancel()
        self._late = self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def _headers_too_large(limits: ConnectionLimits) -> Problem:
    most, count = limits.header_bytes_max, limits.headers_max
    return Problem(431, "headers_too_large", f"the headers are too large: at most {most} bytes in {count} are allowed")
