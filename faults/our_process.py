"""One of our processes in a fault run."""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.child.process import start
from jobs.local_stack.http_probe import http_is_ready
from jobs.local_stack.servers import our_command
from jobs.resilience.failpoints import VARIABLE
from jobs.settings.state_home import PROJECT

OURS = {
    "collector": ("COLLECTOR_PORT",),
    "api": ("API_PORT",),
    "speed": ("SPEED_METRICS_PORT",),
    "batch": ("BATCH_METRICS_PORT", "--every", "10s"),
}
"""Process → the setting of its port, and its flags."""


@dataclass
class OurProcess:
    """One of our processes, restarted when it dies, as a supervisor does."""

    name: str
    words: tuple[str, ...]
    port: int
    environ: dict[str, str]
    log: Path
    child: Any = None
    is_wanted: bool = True
    exit_codes: list[int] = field(default_factory=list)

    def start(self, failpoint: str = "") -> None:
        """Start it; the failpoint applies to this life only."""
        environ = self.environ | ({VARIABLE: failpoint} if failpoint else {})
        self.child = start(our_command(*self.words), environ=environ, log=self.log, folder=PROJECT)

    @property
    def is_alive(self) -> bool:
        """Return whether it is running."""
        return self.child is not None and self.child.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.child.send_signal(number)

    def end(self) -> int:
        """Send SIGTERM; return its exit code."""
        self.is_wanted = False
        self.child.send_signal(signal.SIGCONT)
        self.child.send_signal(signal.SIGTERM)
        return int(self.child.wait(120))

    def kill(self) -> None:
        """Send SIGKILL for good."""
        self.is_wanted = False
        if self.is_alive:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()

    def is_ready(self) -> bool:
        """Return whether /readyz answers that it is ready."""
        return self.is_alive and http_is_ready(self.port)


def is_stopped(pid: int) -> bool:
    """Return whether a process has been stopped by SIGSTOP."""
    status = Path(f"/proc/{pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"
