"""`./viewledger test`: run the requested tests; without a name every test, and `check` in parallel."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jobs.child.process import bound_to_parent
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import PROJECT, state_home
from jobs.setup import programs_for_tests
from jobs.setup.programs import with_java_home

PROCESSES = 4
"""Of tests, on two cores: half of what a test on servers takes is waiting."""
NAMES_NO_TEST = (4, 5)
"""Pytest's exit codes for words that it does not know, and for words that no test has."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a folder with a random name is made in it)
ROOM_BYTES_MIN = 4 * 2**30


def run(*, words: Sequence[str]) -> ExitCode:
    """Return OK only if every check held, at least one test ran and none failed; refuse words that name no test."""
    programs_for_tests.provide(state_home(), words)
    with short_lived_folder() as folder:
        if all(word.startswith("-") for word in words):
            return run_everything(folder, words)
        code = start("tests", ("pytest", *words), folder=folder).wait()
    if code in NAMES_NO_TEST:
        raise CommandError(
            f"no test ran: {shlex.join(words)} names none; give a file below tests, or -k and words of a test's name",
            ExitCode.BAD_INPUT,
        )
    return ExitCode.OK if code == 0 else ExitCode.FAILED


def run_everything(folder: Path, flags: Sequence[str]) -> ExitCode:
    """Run every check and every test, even after a failure, so that one call shows everything.

    Several processes run the tests as `tests.plan` spreads them, on one stack, which starts while tests without servers
    run already. The checks run in parallel to them; their output comes last.
    """
    spread = ("-n", str(PROCESSES), "--dist=loadscope", "--no-loadscope-reorder", f"--stack={folder / 'stack'}")
    with tempfile.TemporaryFile() as output:
        check = start("check", ("jobs.cli", "check"), folder=folder, output=output)
        tests = start("tests", ("pytest", *spread, *flags), folder=folder)
        with stack_for_all(folder / "stack"):
            try:
                # pytest answers 5 when it collected no test, so "no test ran" is a failure by its code alone
                failed = ["tests"] if tests.wait() != 0 else []
            finally:
                tests.terminate()  # who interrupts the run ends the tests before their servers
        if check.wait() != 0:
            failed.append("check")
        output.seek(0)
        print(f"test: check\n{output.read().decode(errors='replace')}", file=sys.stderr, flush=True)
    if failed:
        print(f"test: failed: {', '.join(failed)}", file=sys.stderr)
    return ExitCode.FAILED if failed else ExitCode.OK


@contextmanager
def stack_for_all(folder: Path) -> Iterator[None]:
    """Run the servers that all processes of tests share, in a folder where these wait for them."""
    from jobs.local_stack.stack import LocalStack  # only here: one unit test need not wait for it

    with LocalStack.start(folder):
        yield


@contextmanager
def short_lived_folder() -> Iterator[Path]:
    """Yield a folder for what tests make: in memory where there is room, because that is quick to make and remove."""
    has_room = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES_MIN
    memory = IN_MEMORY if has_room and os.access(IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="viewledger-test-", dir=memory, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers' accounts enter it
        yield folder


def start(
    what: str, words: Sequence[str], *, folder: Path, output: IO[bytes] | None = None
) -> "subprocess.Popen[bytes]":
    """Start one Python tool at the project's root, with a folder for its temporary files; it ends with this process."""
    print(f"test: {what}", file=sys.stderr, flush=True)
    environ = with_java_home(own_environment()) | {"TMPDIR": str(folder), "SPARK_LOCAL_DIRS": str(folder)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile the project again
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=PROJECT,
        env=environ,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        preexec_fn=bound_to_parent(signal.SIGTERM),
    )
