"""`./viewledger logs NAME`: show the end of a part's log."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ingestion.contract.printable import escaped
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.stack_in_use import folder_in_use

POLL_SECONDS = 0.2
LINE_BYTES = 400
"""Read for each line that is wanted; a log's lines are shorter on average."""


def run(*, name: str, lines: int, follow: bool) -> ExitCode:
    """Print the newest lines of the log, and with `follow` each new one until Ctrl-C."""
    path = log_of(folder_in_use(), name)
    print(f"logs: {path}", file=sys.stderr)
    with path.open("rb") as file:
        for line in last_lines(file, lines):
            print(line)
        if follow:
            for line in new_lines(file, wait=lambda: time.sleep(POLL_SECONDS)):
                print(line, flush=True)
    return ExitCode.OK


def log_of(folder: Path, name: str) -> Path:
    """Return the log of a part of a stack, also of one that was stopped; raise CommandError if there is none."""
    names = sorted(path.stem for path in (folder / "log").glob("*.log"))
    if name not in names:
        remedy = f"give one of {', '.join(names)}" if names else "./viewledger up starts a stack"
        raise CommandError(f"stack {folder.name} has no log of {name!r}; {remedy}", ExitCode.BAD_INPUT)
    return folder / "log" / f"{name}.log"


def last_lines(file: BinaryIO, count: int) -> list[str]:
    """Return the last lines of a file, without what could steer a terminal; the file is at its end afterwards."""
    size, wanted = file.seek(0, 2), LINE_BYTES * count
    while True:
        file.seek(max(0, size - wanted))
        found = file.read(min(wanted, size)).splitlines()
        if wanted >= size or len(found) > count:  # the first one may be the end of a line
            return _readable(found[-count:])
        wanted *= 4


def new_lines(file: BinaryIO, *, wait: Callable[[], object]) -> Iterator[str]:
    """Yield each line that is added to the file; one that was emptied, because it was full, is read from its start."""
    rest = b""
    while True:
        if Path(file.name).stat().st_size < file.tell():
            file.seek(0)
            rest = b""
        *complete, rest = (rest + file.read()).split(b"\n")
        yield from _readable(complete)
        if not complete:
            wait()


def _readable(lines: list[bytes]) -> list[str]:
    return [escaped(line.decode(errors="replace")) for line in lines]
