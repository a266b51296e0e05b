"""Wrong clocks for our processes: a small library, built from wrong_clock.c, that a process preloads."""

import shutil
import struct
import subprocess
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

SOURCE = Path(__file__).with_name("wrong_clock.c")
COMPILER_SECONDS = 60


class WrongClocks:
    """Clocks by name; each can be set while processes use it."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise CommandError("faults of clocks need a C compiler; as root: apt-get install gcc", ExitCode.REFUSED)
        folder.mkdir()
        self._folder, self._library = folder, folder / "wrong_clock.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILER_SECONDS, check=False)
        if done.returncode != 0:
            raise CommandError(f"{SOURCE.name} could not be compiled: {done.stderr.strip()[:200]}", ExitCode.REFUSED)

    def set(self, name: str, ahead_seconds: int) -> None:
        """Set a clock some seconds ahead of (or, negative, behind) the right time."""
        with (self._folder / name).open("r+b" if (self._folder / name).exists() else "w+b") as file:
            file.write(struct.pack("q", ahead_seconds * 10**9))

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment in which a process uses one of these clocks."""
        return {"LD_PRELOAD": str(self._library), "VIEWLEDGER_WRONG_CLOCK": str(self._folder / name)}
