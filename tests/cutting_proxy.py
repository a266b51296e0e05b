"""A TCP proxy before PostgreSQL that loses the connection of one COMMIT, at a point that the test chooses."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

COMMIT = b"COMMIT"
At = Literal["withheld", "sent", "answered"]
AT: tuple[At, ...] = ("withheld", "sent", "answered")


def nothing() -> None:
    """Leave the server as it is."""


class CuttingProxy:
    """Cuts the connection of COMMIT number `number`, and calls `hurt` then: the client never sees an answer.

    `at` says when: COMMIT is `withheld` from the server, just `sent` to it, or `answered` by it.
    """

    def __init__(self, url: str, *, number: int, at: At, hurt: Callable[[], None] = nothing) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 5432))
        self._number, self._at, self._hurt, self.cuts = number, at, hurt, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{parts.port}/", f":{self._listener.getsockname()[1]}/")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:  # killed: the client is turned away as the server itself would do it
                client.close()
                continue
            committing = threading.Event()
            threading.Thread(target=self._forward, args=(client, server, committing), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, committing), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        def send(chunk: bytes) -> None:
            self._number -= COMMIT in chunk
            if COMMIT not in chunk or self._number:
                server.sendall(chunk)
                return
            committing.set()
            if self._at != "answered":
                client.shutdown(socket.SHUT_RDWR)
            if self._at != "withheld":
                server.sendall(chunk)
            if self._at != "answered":
                self._cut()
            if self._at == "withheld":
                server.shutdown(socket.SHUT_RDWR)

        pump(client, send, server)

    def _answer(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        def send(chunk: bytes) -> None:
            if not committing.is_set():
                client.sendall(chunk)
            elif self._at == "answered":
                self._cut()
                client.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError  # bytes after that are not a second answer

        pump(server, send, client)

    def _cut(self) -> None:
        self.cuts += 1
        self._hurt()

    def close(self) -> None:
        self._listener.close()


def pump(source: socket.socket, send: Callable[[bytes], None], other: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            send(chunk)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def cutting_proxy(url: str, *, number: int, at: At, hurt: Callable[[], None] = nothing) -> Iterator[CuttingProxy]:
    """Yield a proxy to the server of a URL; it takes no connections any more at the end."""
    proxy = CuttingProxy(url, number=number, at=at, hurt=hurt)
    try:
        yield proxy
    finally:
        proxy.close()
