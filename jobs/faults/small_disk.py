"""A small disk of memory that can fill up and be made larger. Mounting needs root."""

import os
import subprocess
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.accounts import Account


class SmallDisk:
    """A tmpfs on a folder of its own."""

    def __init__(self, folder: Path, size_kib: int, account: Account | None) -> None:
        if os.geteuid() != 0:
            raise CommandError("faults of full disks mount a tmpfs; run them as root", ExitCode.REFUSED)
        folder.mkdir(parents=True, exist_ok=True)
        owner = f",uid={account.uid},gid={account.gid}" if account else ""
        self.folder = folder
        _run("mount", "-t", "tmpfs", "-o", f"size={size_kib}k,mode=700{owner}", "viewledger-faults", str(folder))

    def grow(self, size_kib: int) -> None:
        """Make room."""
        _run("mount", "-o", f"remount,size={size_kib}k", str(self.folder))

    def close(self) -> None:
        """Unmount it, even while somebody has a file open."""
        _run("umount", "--lazy", str(self.folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise CommandError(f"{command[0]} failed: {done.stderr.strip()}", ExitCode.REFUSED)
