"""One child of the supervisor: its process, its state, and the time of its next start."""

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from jobs.child.accounts import owned_folder
from jobs.child.process import start
from jobs.local_stack.unit import Kind, Unit

LOG_BYTES_MAX = 50 * 2**20


class ChildState(StrEnum):
    """The state of a child; `done` is a task's `ready`."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    BACKING_OFF = "backing off"
    GAVE_UP = "gave up"
    STOPPED = "stopped"


@dataclass(frozen=True)
class RestartPolicy:
    """Bounded exponential backoff: the delay doubles from `first` to `longest`, for `tries` deaths in `window`."""

    first_seconds: float = 0.2
    longest_seconds: float = 5.0
    tries: int | None = None
    """None: without a limit."""
    window_seconds: float = 120.0

    def delay_seconds(self, deaths_in_window: int) -> float | None:
        """Return the seconds to wait after this many deaths; None when it is time to give up."""
        if self.tries is not None and deaths_in_window >= self.tries:
            return None
        return float(min(self.longest_seconds, self.first_seconds * 2.0 ** min(deaths_in_window - 1, 16)))


RUNNING_POLICY = RestartPolicy(longest_seconds=20.0)
"""A child that ran before is restarted without a limit: a server whose disk was full is back by itself soon after
there is space again."""
STARTING_POLICY = RestartPolicy(tries=3)
"""While the stack starts, a user waits, and three failures then mean a wrong setting, not bad luck."""


@dataclass
class Child:
    """Changed only by the supervisor's loop, which runs in one thread."""

    unit: Unit
    log: Path
    folder: Path
    state: ChildState = ChildState.WAITING
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    """Seconds since the epoch, for people."""
    started_clock: float = 0.0
    next_start_clock: float = 0.0
    deaths: list[float] = field(default_factory=list)
    restarts: int = 0
    last_exit: int | None = None

    @property
    def satisfied(self) -> bool:
        """Return whether units that wait for this one may start."""
        return self.state in (ChildState.READY, ChildState.DONE)

    def start(self) -> None:
        """Start the program; raise OSError or subprocess.SubprocessError if it cannot be started."""
        for path in self.unit.fresh_folders:
            shutil.rmtree(path, ignore_errors=True)
            owned_folder(path, self.unit.account)
        self.process = start(
            self.unit.command,
            environ=self.unit.environ,
            log=self.log,
            account=self.unit.account,
            folder=Path("/") if self.unit.kind is Kind.SERVER else self.folder,
        )
        self.started_at, self.started_clock = time.time(), time.monotonic()
        self.state = ChildState.STARTING

    def probe(self) -> None:
        """Run the unit's probe and become ready if it succeeds; a task becomes done only by ending."""
        if self.unit.kind is not Kind.TASK and (self.unit.probe is None or self.unit.probe()):
            self.state = ChildState.READY

    def note_end(self, code: int, policy: RestartPolicy) -> float | None:
        """Record that the process ended; return the backoff in seconds, or None if it is done or given up."""
        self.process, self.last_exit = None, code
        if self.unit.kind is Kind.TASK and code == 0:
            if self.unit.done_marker is not None:
                self.unit.done_marker.touch()
            self.state = ChildState.DONE
            return None
        now = time.monotonic()
        self.deaths = [death for death in self.deaths if now - death < policy.window_seconds] + [now]
        delay = policy.delay_seconds(len(self.deaths))
        if delay is None:
            self.state = ChildState.GAVE_UP
            return None
        self.state, self.next_start_clock, self.restarts = ChildState.BACKING_OFF, now + delay, self.restarts + 1
        return delay

    def bound_log(self) -> None:
        """Keep the log below its bound: the full file becomes `.1`, and writing continues in an empty one."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            with self.log.open("r+b") as file:
                file.truncate(0)  # children append, so they carry on at the start

    def last_words(self) -> str:
        """Return the last line of the log, preferring one that names an error; for a one-sentence message."""
        lines = [line.strip() for line in tail(self.log).splitlines() if line.strip()]
        telling = [line for line in lines if any(word in line for word in ("ERROR", "FATAL", "rror:", "xception:"))]
        return (telling[-1:] or lines[-1:] or ["its log is empty"])[0][:300].rstrip(".")


def tail(path: Path, size: int = 8192) -> str:
    """Return the last bytes of a text file; empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")
