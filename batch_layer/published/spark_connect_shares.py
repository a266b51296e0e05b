"""Each client's share of the SQL server: the number of concurrent calls and statements, and their time."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

CALLS_MAX = 32
"""The maximum of concurrent requests of one client: half of the server's."""


class ShareUsedError(Exception):
    """A client exceeds its share; the message is one sentence."""


@dataclass(frozen=True)
class StatementLimits:
    """The limits of a statement, and of a client's concurrent statements."""

    seconds: float = 300
    per_client: int = 16


@dataclass(frozen=True)
class RunningStatement:
    """A running statement."""

    client: str
    session_id: str
    operation_id: str
    user_context: object
    ends_at: float
    """By the monotonic clock."""


class Shares:
    """Counts the running work of clients. Thread-safe.

    A session gets half of its client's statements, so that one notebook leaves room for another of the same person.
    """

    def __init__(self, limits: StatementLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._running: dict[str, RunningStatement] = {}

    @contextmanager
    def call(self, client: str) -> Iterator[None]:
        """Count one request. Raises ShareUsedError."""
        with self._lock:
            if self._calls[client] >= CALLS_MAX:
                raise ShareUsedError(f"{CALLS_MAX} requests of this client are under way; wait until one has ended")
            self._calls[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls[client] -= 1
                if not self._calls[client]:
                    del self._calls[client]

    def begin(self, client: str, session_id: str, operation_id: str, user_context: object) -> RunningStatement:
        """Note that a statement begins; the same operation again is the same statement. Raises ShareUsedError."""
        with self._lock:
            if (known := self._running.get(operation_id)) is not None and known.session_id == session_id:
                return known
            of_client = [each for each in self._running.values() if each.client == client]
            of_session = sum(each.session_id == session_id for each in of_client)
            most = self.limits.per_client
            if len(of_client) >= most or of_session >= max(1, most // 2):
                raise ShareUsedError(
                    f"{len(of_client)} statements of this client are running, {of_session} of this session; at most "
                    f"{most} and {max(1, most // 2)} run at the same time, so wait until one has ended, or interrupt it"
                )
            statement = RunningStatement(
                client, session_id, operation_id, user_context, self._clock() + self.limits.seconds
            )
            self._running[operation_id] = statement
            return statement

    def running(self, operation_id: str) -> RunningStatement | None:
        """Return the statement of an operation that has not ended."""
        with self._lock:
            return self._running.get(operation_id)

    def end(self, operation_id: str) -> None:
        """Note that a statement has ended."""
        with self._lock:
            self._running.pop(operation_id, None)

    def end_session(self, session_id: str) -> None:
        """Note that all statements of a session have ended."""
        with self._lock:
            for each in [each for each in self._running.values() if each.session_id == session_id]:
                del self._running[each.operation_id]

    def seconds_left(self, statement: RunningStatement) -> float:
        """Return the seconds that a statement may still run; negative when its time is over."""
        return statement.ends_at - self._clock()

    def overdue(self) -> list[RunningStatement]:
        """Return the statements whose time is over."""
        with self._lock:
            return [each for each in self._running.values() if each.ends_at <= self._clock()]


def client_of(peer: str) -> str:
    """Return the peer of a connection: the account on this machine, or else the other machine.

    A client's own fields (its user's name, its session) prove nothing. `peer` is in gRPC's form:
    `ipv4:127.0.0.1:40222`, `ipv6:%5B::1%5D:40222`.
    """
    kind, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    host = host.strip("[]")
    if kind in ("ipv4", "ipv6") and port.isdigit() and (host == "::1" or host.startswith("127.")):
        account = _account_of(kind, host, int(port))
        if account is not None:
            return f"account {account}"
    return f"machine {host or peer}"


def _account_of(kind: str, host: str, port: int) -> int | None:
    """Return the account that holds a socket of this machine, from Linux's list; None on other systems."""
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        if (family is socket.AF_INET) != (kind == "ipv4"):
            continue
        words = socket.inet_pton(family, host)
        wanted = "".join(f"{each:08X}" for each in struct.unpack(f"={len(words) // 4}I", words)) + f":{port:04X}"
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            return None
        for line in lines:
            columns = line.split()
            if columns[1] == wanted:
                return int(columns[7])
    return None
