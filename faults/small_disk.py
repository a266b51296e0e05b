"""Small disks of memory that fill up and get space again, with servers' folders on them. Mounting needs root."""

import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from jobs.child.accounts import Account, account_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack

FOLDERS = {"kafka": "kafka", "postgres": "postgres", "hdfs-blocks": "hdfs"}
"""Folder of a stack → the server whose account owns it."""
ROOM_KIB = 4 * 1024 * 1024
"""Unused space costs no memory."""


class SmallDisk:
    """A tmpfs on a folder of its own."""

    def __init__(self, folder: Path, size_kib: int, account: Account | None) -> None:
        if os.geteuid() != 0:
            raise CommandError("faults of full disks mount a tmpfs; run them as root", ExitCode.REFUSED)
        folder.mkdir(parents=True, exist_ok=True)
        owner = f",uid={account.uid},gid={account.gid}" if account else ""
        self.folder = folder
        _run("mount", "-t", "tmpfs", "-o", f"size={size_kib}k,mode=700{owner}", "viewledger-faults", str(folder))

    def resize(self, size_kib: int) -> None:
        """Change the size; not below the used space."""
        _run("mount", "-o", f"remount,size={size_kib}k", str(self.folder))

    def leave(self, free_kib: int) -> None:
        """Make the disk so small that only `free_kib` of it are free."""
        disk = os.statvfs(self.folder)
        used_kib = (disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024
        self.resize(used_kib + free_kib)

    def close(self) -> None:
        """Unmount it, even if a file on it is open."""
        _run("umount", "--lazy", str(self.folder))


class StackOnSmallDisks:
    """Kafka, PostgreSQL and HDFS, each with its data on a small disk of its own."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        with ExitStack() as closing:
            folder.mkdir(parents=True)
            folder.chmod(0o755)
            self.disks = {
                server: SmallDisk(folder / name, ROOM_KIB, account_of(server)) for name, server in FOLDERS.items()
            }
            for disk in self.disks.values():
                closing.callback(disk.close)
            servers = tuple(self.disks)
            self.stack = closing.enter_context(LocalStack.start(folder, servers=servers, tell=tell))
            self._closing = closing.pop_all()

    def close(self) -> None:
        """End the servers and unmount the disks."""
        self._closing.close()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise CommandError(f"{command[0]} failed: {done.stderr.strip()}", ExitCode.REFUSED)
