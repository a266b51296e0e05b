"""Redis as a real installation has it: TLS, users with rights, and sets in which another server takes over."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from faults.certificates import Authority, Certified
from faults.redis_sets import Cluster, RedisSet
from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import start
from jobs.local_stack.ports import is_open, some_free_ports
from jobs.local_stack.stack import temporary_folder
from jobs.setup import programs

SAFE = ("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction")
Made = TypeVar("Made", bound=RedisSet)


@dataclass
class Server:
    """One Redis."""

    port: int
    words: Sequence[str]
    log: Path
    process: Any = field(default=None)

    def start(self) -> None:
        """Start it and wait until it listens."""
        account = account_of("redis")
        environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        command = [str(programs.redis_server()), *self.words]
        self.process = start(command, environ=environ, log=self.log, account=account)
        until(lambda: is_open(self.port), 60, f"port {self.port} is open")

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def secure_redis(rights: Sequence[str]) -> Iterator[tuple[int, Authority]]:
    """Start a Redis that speaks TLS alone and lets in the users of the rules of `rights` alone; give its port."""
    with temporary_folder() as folder:
        authority, account = Authority(folder / "certificates"), account_of("redis")
        own: Certified = authority.certify("redis")
        (port,) = some_free_ports(1)
        tls = ["--port", "0", "--tls-port", str(port)]
        tls += [word for name, value in tls_settings(authority, own).items() for word in (f"--{name}", value)]
        users = [word for rule in ("default off", *rights) for word in ("--user", *rule.split())]
        data = owned_folder(folder / "data", account)
        words = ["--bind", "127.0.0.1", *SAFE, "--dir", str(data), *tls]
        server = Server(port, [*words, *users], folder / "redis.log")
        server.start()
        try:
            yield port, authority
        finally:
            server.kill()


def tls_settings(authority: Authority, own: Certified) -> dict[str, str]:
    """Return the settings by which a server shows its certificate, and believes those that the authority signed."""
    files = {"tls-cert-file": own.certificate, "tls-key-file": own.key, "tls-ca-cert-file": authority.file}
    return {"tls-auth-clients": "optional", **{name: str(path) for name, path in files.items()}}


@contextmanager
def secure_cluster() -> Iterator[tuple[Cluster, Authority]]:
    """Start a Cluster that speaks TLS."""
    with temporary_folder() as folder:
        authority = Authority(folder / "certificates")
        tls = tls_settings(authority, authority.certify("redis"))
        with running(partial(Cluster, tls=tls)) as cluster:
            yield cluster, authority


@contextmanager
def running(make: Callable[[Path], Made]) -> Iterator[Made]:
    """Start a set of servers in a folder of its own; end it."""
    with temporary_folder() as folder:
        made = make(folder / "redis")
        try:
            made.start()
            yield made
        finally:
            made.close()
