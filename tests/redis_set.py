"""Redis as a real installation has it: TLS, users with rights, and a master with a replica that Sentinels watch."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import start
from jobs.local_stack.ports import is_open, some_free_ports
from jobs.local_stack.stack import temporary_folder
from jobs.setup import programs
from tests.certificates import Authority, Certified

SAFE = ("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction")
SERVICE = "views"
DOWN_AFTER_MS = 2_000


@dataclass
class Server:
    """One Redis, or one Sentinel."""

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
        tls = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "optional"]
        files = ["--tls-cert-file", str(own.certificate), "--tls-key-file", str(own.key)]
        files += ["--tls-ca-cert-file", str(authority.file)]
        users = [word for rule in ("default off", *rights) for word in ("--user", *rule.split())]
        data = owned_folder(folder / "data", account)
        words = ["--bind", "127.0.0.1", *SAFE, "--dir", str(data), *tls, *files]
        server = Server(port, [*words, *users], folder / "redis.log")
        server.start()
        try:
            yield port, authority
        finally:
            server.kill()


@dataclass(frozen=True)
class SentinelSet:
    """A master, a replica, and three Sentinels of which two must agree."""

    servers: Sequence[Server]
    sentinels: Sequence[Server]

    @property
    def url(self) -> str:
        """Return the address by which clients find the master."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{places}/{SERVICE}"

    def master_port(self) -> int:
        """Return the port of the master, as the first Sentinel knows it."""
        with redis.Redis(port=self.sentinels[0].port, socket_timeout=5) as client:
            return int(client.execute_command("SENTINEL", "get-master-addr-by-name", SERVICE)[1])

    def kill_master(self) -> float:
        """Kill the master; return the instant."""
        (master,) = [each for each in self.servers if each.port == self.master_port()]
        master.kill()
        return time.monotonic()


@contextmanager
def sentinel_set() -> Iterator[SentinelSet]:
    """Start a set whose replica has what its master has; end it."""
    with temporary_folder() as folder:
        ports, account = some_free_ports(5), account_of("redis")
        servers = [
            Server(
                port,
                [
                    *("--bind", "127.0.0.1", "--port", str(port), *SAFE),
                    *("--dir", str(owned_folder(folder / f"data-{port}", account))),
                    *(("--replicaof", "127.0.0.1", str(ports[0])) if port != ports[0] else ()),
                ],
                folder / f"{port}.log",
            )
            for port in ports[:2]
        ]
        sentinels = [_sentinel(folder, port, ports[0]) for port in ports[2:]]
        running = SentinelSet(servers, sentinels)
        try:
            for each in (*servers, *sentinels):
                each.start()
            until(lambda: _is_whole(running), 60, "the replica follows, and the Sentinels know each other")
            yield running
        finally:
            for each in (*servers, *sentinels):
                each.kill()


def _sentinel(folder: Path, port: int, master: int) -> Server:
    home = owned_folder(folder / f"sentinel-{port}", account_of("redis"))
    config = home / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {home}\nsentinel monitor {SERVICE} 127.0.0.1 {master} 2\n"
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\nsentinel failover-timeout {SERVICE} 10000\n"
    )
    if account := account_of("redis"):
        subprocess.run(["/bin/chown", str(account.uid), str(config)], check=True)
    return Server(port, [str(config), "--sentinel"], folder / f"sentinel-{port}.log")


def _is_whole(running: SentinelSet) -> bool:
    with suppress(redis.RedisError):
        with redis.Redis(port=running.servers[1].port, socket_timeout=5) as replica:
            if replica.info("replication").get("master_link_status") != "up":
                return False
        for each in running.sentinels:
            with redis.Redis(port=each.port, socket_timeout=5, decode_responses=True) as client:
                words = client.execute_command("SENTINEL", "MASTER", SERVICE)
                known = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))
                if int(known["num-other-sentinels"]) != 2 or int(known["num-slaves"]) != 1:
                    return False
        return True
    return False
