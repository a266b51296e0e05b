"""Start one child process that cannot outlive this one, even if this one is killed."""

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jobs.child.accounts import Account

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def bound_to_parent(signal_number: int, account: Account | None = None) -> Callable[[], None]:
    """Return a preexec_fn: become the account, then request a signal from the kernel for the parent's death.

    The order matters: a change of identity clears the request. The kernel watches the *thread* that forked, so
    children must be started from the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a child bound to its parent must be started from the main thread")
    parent = os.getpid()

    def prepare() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        _LIBC.prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # the parent died before the request was made
            os._exit(1)

    return prepare


def start(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    log: Path,
    account: Account | None = None,
    folder: Path = Path("/"),
    death_signal: int = signal.SIGKILL,
) -> "subprocess.Popen[bytes]":
    """Start a command with its output appended to `log`, in a session of its own, so that Ctrl-C reaches only us.

    It gets SIGKILL when the parent dies, which cannot be ignored. Raises OSError if the program cannot be started.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=bound_to_parent(death_signal, account),
        )
