"""A handle on a local stack: start it, use it, send signals to it, stop it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from jobs.child.process import bound_to_parent
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.child import tail
from jobs.local_stack.ports import Ports, free_ports, refuse_taken_ports
from jobs.local_stack.profile import Profile
from jobs.local_stack.servers import SERVERS
from jobs.settings.own_environment import own_environment
from jobs.settings.stack_in_use import is_running
from jobs.settings.state_home import PROJECT, everybody_may_enter

STOP_SECONDS = 60.0
POLL_SECONDS = 0.05


def no_progress(_text: str) -> None:
    """Report nothing."""


@dataclass
class LocalStack:
    """A running stack. Started here, it ends with `stop`, with the `with` block, or with this process at the latest.

    `environment` holds the VIEWLEDGER_* settings for clients of this stack. Call `start` from the main thread.
    """

    folder: Path
    ports: Ports
    environment: Mapping[str, str]
    supervisor: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        ports: Ports | None = None,
        servers: Sequence[str] = SERVERS,
        processes: Sequence[str] = (),
        is_observed: bool = False,
        detached: bool = False,
        settings: Mapping[str, str] = MappingProxyType({}),
        tell: Callable[[str], None] = no_progress,
        ready_within_seconds: float = 120.0,
    ) -> "LocalStack":
        """Start a stack in `folder` and return when every part has answered its probe.

        `is_observed`: with Prometheus, Alertmanager and exporters. `detached`: the stack outlives this process.
        `settings` are its own besides those of every stack.
        Raises CommandError(UNAVAILABLE) with one sentence when a port is taken, a part does not come up, or a stack
        runs in this folder already; nothing is left running then.
        """
        if is_running(folder):
            raise CommandError(f"a stack already runs in {folder}; stop it first", ExitCode.UNAVAILABLE)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        if os.geteuid() == 0 and not everybody_may_enter(folder):
            raise CommandError(
                f"the servers run as unprivileged accounts and cannot enter {folder}; choose another folder with "
                "VIEWLEDGER_HOME, or open it with chmod o+x",
                ExitCode.BAD_INPUT,
            )
        chosen = ports or free_ports()
        refuse_taken_ports(chosen.by_name())
        profile = Profile(folder, chosen)
        stack = cls(folder, chosen, profile.environment())
        (folder / "stack.json").unlink(missing_ok=True)
        stack.supervisor = _start_supervisor(
            profile,
            servers=servers,
            processes=processes,
            is_observed=is_observed,
            detached=detached,
            settings=settings,
        )
        try:
            stack._wait_until_ready(tell, ready_within_seconds)
        except BaseException:
            stack.stop()
            raise
        return stack

    @classmethod
    def attach(cls, folder: Path) -> "LocalStack | None":
        """Return the stack that runs in `folder`; None if there is none."""
        if not is_running(folder) or not (report := read_report(folder)):
            return None
        ports = Ports(**report["ports"])
        return cls(folder, ports, Profile(folder, ports).environment())

    def report(self) -> dict[str, Any]:
        """Return the supervisor's last report about its children (`stack.json`)."""
        return read_report(self.folder)

    @property
    def superuser_url(self) -> str:
        """Return the URL of PostgreSQL for its superuser, without a database; our processes never get it."""
        password = (self.folder / "etc" / "postgres.pw").read_text(encoding="utf-8").strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.ports.postgres}"

    def pid(self, name: str) -> int | None:
        """Return the process id of a child; None while it has none."""
        pid = self.report()["children"][name]["pid"]
        return int(pid) if pid is not None else None

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a child and return its process id; the supervisor restarts a dead one."""
        pid = self.pid(name)
        if pid is None:
            raise CommandError(f"{name} is not running", ExitCode.UNAVAILABLE)
        os.kill(pid, number)
        return pid

    def wait_ready(self, name: str, *, not_pid: int | None = None, within_seconds: float = 60.0) -> int:
        """Wait until a child is ready, under another process id than `not_pid`; return its id."""
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            child = self.report()["children"][name]
            if child["state"] == "ready" and child["pid"] != not_pid:
                return int(child["pid"])
            time.sleep(POLL_SECONDS)
        raise CommandError(f"{name} was not ready within {within_seconds:.0f} s", ExitCode.UNAVAILABLE)

    def restart(self, name: str) -> int:
        """End a child, kill it if it does not end in its time, and return its new process id once it is ready.

        A process that hangs, or was stopped by a signal, heeds no other signal than the one that kills it.
        """
        child = self.report()["children"][name]
        ended = self.kill(name, child["stop_signal"])
        deadline = time.monotonic() + child["stop_within_seconds"]
        while self.pid(name) == ended and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if self.pid(name) == ended:
            self.kill(name)
        return self.wait_ready(name, not_pid=ended)

    def stop(self, within_seconds: float = STOP_SECONDS) -> None:
        """Stop every child in order and wait for it; after the time, kill the supervisor and all its children."""
        pid = self.supervisor.pid if self.supervisor is not None else self.report().get("supervisor_pid")
        if pid is None or not self._alive():
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + within_seconds
        while self._alive():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline = time.monotonic() + within_seconds
            time.sleep(POLL_SECONDS)

    def _alive(self) -> bool:
        if self.supervisor is not None:
            return self.supervisor.poll() is None
        return is_running(self.folder)

    def _wait_until_ready(self, tell: Callable[[str], None], within_seconds: float) -> None:
        deadline, reported = time.monotonic() + within_seconds, ""
        while True:
            report = self.report()
            if report.get("state") == "ready":
                tell(f"ready after {report['ready_after_seconds']} s")
                return
            waiting = [name for name, child in report.get("children", {}).items() if child["state"] == "starting"]
            if waiting and (text := "starting " + ", ".join(waiting)) != reported:
                tell(reported := text)
            if not self._alive():
                reason = report.get("error") or tail(self.folder / "log" / "supervisor.log").strip().split("\n")[-1]
                raise CommandError(f"the local stack did not start: {reason}", ExitCode.UNAVAILABLE)
            if time.monotonic() > deadline:
                raise CommandError(
                    f"the local stack was not ready within {within_seconds:.0f} s; still waiting for "
                    f"{', '.join(waiting) or 'its supervisor'} (logs: {self.folder / 'log'})",
                    ExitCode.UNAVAILABLE,
                )
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> "LocalStack":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def read_report(folder: Path) -> dict[str, Any]:
    """Return the content of `stack.json`; empty before the first report."""
    path = folder / "stack.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that the servers' accounts can enter (pytest's tmp_path is closed to them), removed at the end."""
    with tempfile.TemporaryDirectory(prefix="viewledger-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _start_supervisor(
    profile: Profile,
    *,
    servers: Sequence[str],
    processes: Sequence[str],
    is_observed: bool,
    detached: bool,
    settings: Mapping[str, str],
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "jobs.local_stack.supervisor", str(profile.folder)]
    command += ["--ports", json.dumps(profile.ports.by_name())]
    command += ["--servers", ",".join(servers), "--processes", ",".join(processes)]
    command += ["--observed"] if is_observed else []
    with profile.log("supervisor").open("wb") as output:
        return subprocess.Popen(
            command,
            env=own_environment() | {**settings, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if detached else bound_to_parent(signal.SIGTERM),
        )
