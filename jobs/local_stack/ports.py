"""The ports of the parts of a local stack; all on 127.0.0.1."""

import fcntl
import functools
import os
import random
import socket
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.machine import PORT_BASE


@dataclass(frozen=True)
class Ports:
    """One port per listener: our own first, in the order a user meets them."""

    api: int
    collector: int
    speed_metrics: int
    kafka: int
    kafka_controller: int
    redis: int
    postgres: int
    namenode: int
    namenode_http: int
    datanode: int
    datanode_ipc: int
    datanode_http: int
    sql: int
    iceberg: int
    api_metrics: int = 0
    collector_metrics: int = 0
    batch_metrics: int = 0
    """A stack that was started before these three existed has none."""
    prometheus: int = 0
    alertmanager: int = 0
    node_exporter: int = 0
    redis_exporter: int = 0
    postgres_exporter: int = 0
    """These five listen in an observed stack only."""

    def by_name(self) -> dict[str, int]:
        """Return the ports as a mapping from part to number."""
        return asdict(self)

    def listening(self, *, processes: Collection[str], observers: Collection[str]) -> dict[str, int]:
        """Return the ports of the servers, and of those processes and observers that run."""
        running = {*processes, *observers}
        return {name: port for name, port in self.by_name().items() if _OWNERS.get(name, name) in running | _SERVERS}


_OWNERS = {
    "api_metrics": "api",
    "collector_metrics": "collector",
    "speed_metrics": "speed",
    "batch_metrics": "batch",
    "iceberg": "sql",
}
"""Port → the process that listens there, where it has another name."""
_SERVERS = frozenset(
    ("kafka", "kafka_controller", "redis", "postgres", "namenode", "namenode_http", "datanode", "datanode_ipc",
     "datanode_http")
)  # fmt: skip
"""The ports that every stack listens on."""
OFFSETS = (0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 3, 4, 5, 6, 7, 30, 31, 32, 33, 34)
"""The offset of each port from the base: 17070 is the API, 17080 Kafka, 17083 PostgreSQL, 17100 Prometheus."""


def fixed_ports(environ: Mapping[str, str]) -> Ports:
    """Return the documented block; one setting moves it as a whole."""
    base = PORT_BASE.read(environ)
    return Ports(*(base + offset for offset in OFFSETS))


def free_ports() -> Ports:
    """Return free ports for a whole stack."""
    return Ports(*some_free_ports(len(fields(Ports))))


def some_free_ports(count: int) -> list[int]:
    """Return free ports that no other call gets, in any process of this user, while this process lives.

    They are below the range that the kernel uses for outgoing connections.
    """
    candidates = random.sample(range(20000, 32000), 2000)
    return list(islice((port for port in candidates if is_free(port) and _reserves(port)), count))


_reserved: set[int] = set()


def _reserves(port: int) -> bool:
    """Return whether the port is this call's: servers listen only seconds after their ports were chosen."""
    if port in _reserved:  # the lock below separates processes only
        return False
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved.add(port)
    return True


@functools.cache
def _reservations() -> int:
    """Return the open file whose byte N is locked by the process that has port N; the kernel unlocks at its end."""
    path = Path(tempfile.gettempdir()) / f"viewledger-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do, despite TIME_WAIT
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int, timeout_seconds: float = 0.3) -> bool:
    """Return whether a server accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout_seconds).close()
    except OSError:
        return False
    return True


def refuse_taken_ports(ports: Mapping[str, int]) -> None:
    """Raise CommandError(UNAVAILABLE) that names every port of the given parts that another program holds."""
    taken = [f"{port} ({part})" for part, port in ports.items() if not is_free(port)]
    if taken:
        noun = "port is" if len(taken) == 1 else "ports are"
        raise CommandError(
            f"{len(taken)} {noun} taken by another program: {', '.join(taken)}; stop it, or set {PORT_BASE.name} "
            "to move the whole block of ports",
            ExitCode.UNAVAILABLE,
        )
