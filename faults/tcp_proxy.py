"""A TCP proxy on loopback whose connections can be cut or silenced."""

import contextlib
import socket
import threading
import time
from enum import Enum

SERVER_SECONDS = 0.5
"""The seconds that a server has for the request before the connection is cut."""


class Mode(Enum):
    """The proxy's handling of bytes."""

    OPEN = "open"
    SILENT = "silent"
    """Connections stay, and no bytes pass: a host that hangs."""
    DEAF_BACK = "deaf_back"
    """Requests reach the server and its answers are dropped: the outcome is unknown."""
    CLOSED = "closed"
    """New connections are closed at once, the existing ones were cut."""


class TcpProxy:
    """Forwards 127.0.0.1:port to another port of 127.0.0.1."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._mode = Mode.OPEN
        self._last_words: bytes | None = None
        self._opened = threading.Event()
        self._opened.set()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def set(self, mode: Mode) -> None:
        """Change the mode from now on; DEAF_BACK and CLOSED cut the connections at the end."""
        self._mode = mode
        if mode is Mode.SILENT:
            self._opened.clear()
        else:
            self._opened.set()
        if mode is Mode.CLOSED:
            self.cut()

    def retarget(self, target_port: int) -> None:
        """Forward new connections elsewhere and cut the existing ones."""
        self._target = ("127.0.0.1", target_port)
        self.cut()

    def cut_after(self, words: bytes) -> None:
        """Cut every connection once, right after a request that contains these bytes: it is done, but not answered."""
        self._last_words = words

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                _close(end)

    def close(self) -> None:
        """End the proxy."""
        self._opened.set()
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._mode is Mode.CLOSED:
                _close(client)
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                _close(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._pairs.add((client, server))
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, is_answer), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while chunk := source.recv(65536):
                self._opened.wait()
                if is_answer and self._mode is Mode.DEAF_BACK:
                    continue
                if not is_answer and self._last_words is not None and self._last_words in chunk:
                    self._last_words = None
                    self._mode = Mode.DEAF_BACK
                    sink.sendall(chunk)
                    time.sleep(SERVER_SECONDS)
                    self._mode = Mode.OPEN
                    self.cut()
                    return
                sink.sendall(chunk)
        except OSError:
            pass
        for end in (source, sink):
            _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
