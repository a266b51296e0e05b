"""`./viewledger test`: run the requested tests; without words every test, and `check` in parallel."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from jobs.child.process import bound_to_parent
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import PROJECT, state_home
from jobs.setup import programs_for_tests
from jobs.setup.programs import with_java_home

BESIDE = (
    *(
        f"tests/laws/test_{name}.py"
        for name in (
            "spark_errors",
            "kafka_log",
            "batch_laws",
            "sql_is_closed",
            "sql_shares_hold",
            "reconcile_laws",
            "settled_views_laws",
            "upgrade_laws",
            "bundle_of_real_books",
        )
    ),
    "tests/e2e/test_demo.py",
)
"""Files that share one Spark session, which starts and warms up once, and the demo, which has its own servers."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a folder with a random name is made in it)
ROOM_BYTES_MIN = 4 * 2**30


def run(*, words: Sequence[str]) -> ExitCode:
    """Return OK only if every check held, at least one test ran and none failed."""
    programs_for_tests.provide(state_home(), words)
    with short_lived_folder() as folder:
        if words:
            tests = start("tests", ("pytest", *words), folder=folder)
            return ExitCode.OK if tests.wait() == 0 else ExitCode.FAILED
        return run_everything(folder)


def run_everything(folder: Path) -> ExitCode:
    """Run every check and every test, even after a failure, so that one call shows everything.

    Long checks that need few servers run in parallel to the tests; their output comes last.
    """
    beside = (("check", ("jobs.cli", "check")), ("Spark laws and demo", ("pytest", "-q", *BESIDE)))
    failed = []
    with ExitStack() as closing:
        waiting = []
        for what, command in beside:
            output = closing.enter_context(tempfile.TemporaryFile())
            waiting.append((what, start(what, command, folder=folder, output=output), output))
        # pytest answers 5 when it collected no test, so "no test ran" is a failure without a look at its output.
        if start("tests", ("pytest", *(f"--ignore={path}" for path in BESIDE)), folder=folder).wait() != 0:
            failed.append("tests")
        for what, child, output in waiting:
            code = child.wait()
            output.seek(0)
            print(f"test: {what}\n{output.read().decode(errors='replace')}", file=sys.stderr, flush=True)
            if code != 0:
                failed.append(what)
    if failed:
        print(f"test: failed: {', '.join(failed)}", file=sys.stderr)
    return ExitCode.FAILED if failed else ExitCode.OK


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
