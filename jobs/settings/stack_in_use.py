"""Find the running local stack, and the settings that it left for commands."""

import fcntl
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import state_home


def read_environment(folder: Path) -> dict[str, str]:
    """Return the settings that a running stack wrote to `stack.env`; empty if there is no such file."""
    path = folder / "stack.env"
    if not path.exists():
        return {}
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def is_running(folder: Path) -> bool:
    """Return whether a supervisor holds this folder; the kernel frees the lock when it dies, so it is never stale."""
    path = folder / "supervisor.lock"
    if not path.exists():
        return False
    with path.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


STACKS = ("local", "demo")
"""The folders below the state home in which `up` and `demo --keep` leave a stack running."""


def folder_in_use() -> Path:
    """Return the folder of the stack that commands use: the one of `up`, or else the one of `demo --keep`."""
    folders = [state_home() / name for name in STACKS]
    return next((folder for folder in folders if is_running(folder)), folders[0])


def refuse_second_stack(folder: Path) -> None:
    """Raise CommandError if another stack is left running: commands could not know which one is meant."""
    other = folder_in_use()
    if other != folder and is_running(other):
        raise CommandError(
            f"stack {other.name} is running already, and commands use one stack at a time; ./viewledger status shows "
            "it, ./viewledger down stops it, and VIEWLEDGER_HOME names a folder for another one",
            ExitCode.REFUSED,
        )
