"""An SMTP server in a thread, for tests: it keeps what it accepts, and speaks STARTTLS if it has a certificate."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any, cast


class SmtpServerOfTests(socketserver.ThreadingTCPServer):
    """What the server does, and what it has received."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *, tls: ssl.SSLContext | None = None, is_implicit: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.tls, self.is_implicit = tls, is_implicit
        self.accepted: list[Message] = []
        self.refused: set[str] = set()
        """Receivers that it refuses for good."""
        self.password: str | None = None
        """Of `ann`; None: nobody signs in."""
        self.secured: list[bool] = []
        """Whether each accepted message came over TLS."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def get_request(self) -> tuple[Any, Any]:
        request, address = super().get_request()
        if self.is_implicit and self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        return request, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a client that hangs up, or distrusts the certificate, without a trace on stderr."""


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast(SmtpServerOfTests, self.server)
        is_secure, receiver = server.is_implicit, ""
        self._answer("220 tests")
        while line := self.rfile.readline().decode().strip():
            word = line.upper()
            if word.startswith("EHLO"):
                offers = ["STARTTLS"] if server.tls and not is_secure else []
                offers += ["AUTH PLAIN"] if server.password else []
                self._answer(*(f"250-{each}" for each in ("tests", *offers)), "250 8BITMIME")
            elif word == "STARTTLS" and server.tls is not None:
                self._answer("220 go on")
                self.request = server.tls.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
                is_secure = True
            elif word.startswith("AUTH PLAIN "):
                credentials = base64.b64decode(line.split()[2]).decode()
                self._answer("235 welcome" if credentials == f"\0ann\0{server.password}" else "535 wrong password")
            elif word.startswith("RCPT TO:"):
                receiver = line[8:].split(">")[0].strip("<")
                self._answer("550 no such user" if receiver in server.refused else "250 ok")
            elif word == "DATA":
                self._answer("354 go on")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part.removeprefix(b".")
                server.accepted.append(message_from_bytes(body, policy=default))
                server.secured.append(is_secure)
                self._answer("250 accepted")
            elif word == "QUIT":
                self._answer("221 bye")
                return
            else:
                self._answer("250 ok")

    def _answer(self, *lines: str) -> None:
        self.wfile.write("".join(f"{each}\r\n" for each in lines).encode())


@contextmanager
def smtp_server(*, tls: ssl.SSLContext | None = None, is_implicit: bool = False) -> Iterator[SmtpServerOfTests]:
    """Yield a running server; it ends at the end."""
    with SmtpServerOfTests(tls=tls, is_implicit=is_implicit) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
