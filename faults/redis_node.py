"""A Redis of a fault run's own: it can be killed, lose its newest writes, and be restarted."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis

from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import start
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import some_free_ports
from jobs.setup import programs

SETTINGS = {"bind": "127.0.0.1", "appendonly": "yes", "save": '""', "maxmemory-policy": "noeviction"}
READY_SECONDS = 120.0
"""A large file takes a while to load."""


class RedisNode:
    """One server and its folder."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] = {}) -> None:
        """`folder` must be accessible to the server's account."""
        program = programs.redis_server()
        if program is None:
            raise CommandError("redis-server is not installed; run ./viewledger doctor", ExitCode.SETUP_FAILED)
        self._program, self._account = program, account_of("redis")
        self.folder = owned_folder(folder, self._account)
        (self.port,) = some_free_ports(1)
        self._settings = {**SETTINGS, "appendfsync": "everysec", **settings, "port": str(self.port), "dir": str(folder)}
        self._log = folder.parent / f"{folder.name}.log"
        self._process: Any = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> "redis.Redis":
        """Return a client of its own for the fault; close it."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self, *, must_answer: bool = True) -> bool:
        """Start it on the files in its folder; return False if it ended instead of answering."""
        environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        command = [self._program, *self._words()]
        self._process = start(command, environ=environ, log=self._log, account=self._account)
        until(lambda: self._answers() or self._process.poll() is not None, READY_SECONDS, "Redis answers")
        if must_answer and self._process.poll() is not None:
            raise CommandError(f"Redis did not start; its log: {self._log}", ExitCode.UNAVAILABLE)
        return self._process.poll() is None

    def kill(self) -> None:
        """Send SIGKILL; the part of the file that the kernel has stays."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send another signal, such as SIGSTOP."""
        self._process.send_signal(number)

    def close(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()

    def append_only_file(self) -> Path:
        """Return the increment of the append-only file that is being written."""
        return sorted((self.folder / "appendonlydir").glob("*.incr.aof"))[-1]

    def lose_tail(self, share: float) -> int:
        """Cut off the end of the append-only file of the stopped server; return how many bytes."""
        path = self.append_only_file()
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(int(size * (1 - share)))
        return size - path.stat().st_size

    def damage_middle(self) -> None:
        """Overwrite some bytes in the middle of the append-only file of the stopped server."""
        path = self.append_only_file()
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\0" * 512)

    def lose_everything(self) -> None:
        """Remove the files of the stopped server, like an operator who cannot repair them."""
        for path in (self.folder / "appendonlydir").glob("*"):
            path.unlink()

    def _words(self) -> list[str]:
        return [word for name, value in self._settings.items() for word in (f"--{name}", value.strip('"'))]

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
