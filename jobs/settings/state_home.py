"""The folder of a checkout's files: the virtual environment, the jars, the stacks' files. Standard library only."""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from jobs.settings.declared.machine import HOME
from jobs.settings.own_environment import own_environment

PROJECT = Path(__file__).resolve().parents[2]


def state_home(
    environ: Mapping[str, str] | None = None, *, project: Path = PROJECT, is_root: bool | None = None
) -> Path:
    """Return the folder for everything that can be created again; it need not exist yet.

    `VIEWLEDGER_HOME` when set, else `<project>/.viewledger`. Started by root, the servers run as unprivileged
    accounts, which cannot read a checkout below a closed folder (such as /root): then it is a folder of its own for
    this checkout below /var/lib/viewledger.
    """
    if chosen := HOME.read_if_set(own_environment() if environ is None else environ):
        return chosen.expanduser().resolve()
    if is_root is None:
        is_root = os.geteuid() == 0
    if is_root and not everybody_may_enter(project):
        return Path("/var/lib/viewledger") / hashlib.sha256(str(project).encode()).hexdigest()[:12]
    return project / ".viewledger"


def everybody_may_enter(folder: Path) -> bool:
    """Return whether an unprivileged account can reach into this folder (every parent has the x bit)."""
    return all(stat.S_IMODE(step.stat().st_mode) & stat.S_IXOTH for step in (folder, *folder.parents))
