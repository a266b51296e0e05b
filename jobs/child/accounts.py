"""The system account of a third-party server when root starts the stack."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

PREFERRED = {"postgres": "postgres", "redis": "redis"}
"""PostgreSQL refuses to run as root; it and Redis get the account their own package made. The Java servers get
`nobody`: no package makes an account for them, and under `postgres` they could read a cluster of the machine's own."""

FALLBACK = "nobody"


@dataclass(frozen=True)
class Account:
    """The identity a child takes on before it starts a program."""

    name: str
    uid: int
    gid: int


def account_of(server: str) -> Account | None:
    """Return the account for this server; None if we are not root, and so cannot and need not change."""
    if os.geteuid() != 0:
        return None
    name = PREFERRED.get(server, FALLBACK)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = pwd.getpwnam(FALLBACK)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def owned_folder(path: Path, account: Account | None) -> Path:
    """Create a private folder for the account (mode 700) and return it."""
    path.mkdir(parents=True, exist_ok=True)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o700)
    return path
