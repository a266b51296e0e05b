"""The units of the supervisor: servers, one-time tasks and our own processes, as frozen records."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from jobs.child.accounts import Account


class Kind(StrEnum):
    """How the supervisor treats a unit."""

    TASK = "task"
    """Runs once, must end with 0, is not restarted."""
    SERVER = "server"
    """A third-party server; stopped last."""
    PROCESS = "process"
    """One of our own processes; stopped first."""


@dataclass(frozen=True)
class Unit:
    """One child of the supervisor: how to start it, how to know that it is ready, and how to stop it."""

    name: str
    kind: Kind
    command: tuple[str, ...]
    environ: Mapping[str, str]
    after: tuple[str, ...] = ()
    """Units that must be ready (a task: done) before this one starts; names not in the plan are ignored."""
    probe: Callable[[], bool] | None = None
    """Returns true once the unit does its work, by a real request; None means ready as soon as started."""
    account: Account | None = None
    port: int | None = None
    ready_within_seconds: float = 60.0
    stop_signal: int = signal.SIGTERM
    stop_within_seconds: float = 15.0
    done_marker: Path | None = None
    """A task's stamp file: it need not run again; the supervisor writes it when the task ended with 0."""
    fresh_folders: tuple[Path, ...] = field(default=())
    """Emptied and given to the account before a task starts: the remains of an interrupted try are removed."""
