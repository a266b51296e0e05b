"""A receiver of webhooks in a thread, for tests: it keeps what it is sent, and answers as a test says."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclass(frozen=True)
class Received:
    """One request: its headers in small letters, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes


class WebhookReceiverOfTests(ThreadingHTTPServer):
    """What the receiver does, and what it has received."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.tls = tls
        self.received: list[Received] = []
        self.connection_count = 0
        self.answer: Callable[[Received], tuple[int, bytes]] = lambda _request: (204, b"")
        self.headers: dict[str, str] = {}
        """Headers of each answer."""
        self.is_slow_before = self.is_slow_after = False
        """Whether it says nothing at all, or a status and a part of the body, until `ended` is set."""
        self.is_trickling = False
        """Whether it sends the first line a byte at a time, for more than a second."""
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_port}/hooks/viewledger?from=tests"

    def get_request(self) -> tuple[Any, Any]:
        request, address = super().get_request()
        self.connection_count += 1
        return (self.tls.wrap_socket(request, server_side=True) if self.tls else request), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a client that hangs up, or distrusts the certificate, without a trace on stderr."""


class _Session(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name that the library calls
        server = cast(WebhookReceiverOfTests, self.server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.path, headers, self.rfile.read(int(headers["content-length"])))
        server.received.append(request)
        status, body = server.answer(request)
        if server.is_slow_before:
            server.ended.wait(30)
        if server.is_trickling:
            for byte in b"HTTP/1.1 204 No Content\r\n\r\n":
                self.wfile.write(bytes([byte]))
                server.ended.wait(0.05)
            return
        self.send_response(status)
        for name, value in server.headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.is_slow_after:
            self.wfile.write(body[:1])
            server.ended.wait(30)
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line for each request."""


@contextmanager
def webhook_server(tls: ssl.SSLContext | None = None) -> Iterator[WebhookReceiverOfTests]:
    """Yield a running receiver; it ends at the end."""
    with WebhookReceiverOfTests(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join(10)
