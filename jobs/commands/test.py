"""`./viewledger test`: run the requested tests; without words every test, and `check` in parallel."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
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


def run(*, words: Sequence[str]) -> ExitCode:
    """Return OK only if every check held, at least one test ran and none failed."""
    programs_for_tests.provide(state_home(), words)
    if words:
        return ExitCode.OK if start("tests", ("pytest", *words)).wait() == 0 else ExitCode.FAILED
    return run_everything()


def run_everything() -> ExitCode:
    """Run every check and every test, even after a failure, so that one call shows everything.

    Long checks that need few servers run in parallel to the tests; their output comes last.
    """
    beside = (("check", ("jobs.cli", "check")), ("Spark laws and demo", ("pytest", "-q", *BESIDE)))
    failed = []
    with ExitStack() as closing:
        waiting = []
        for what, command in beside:
            said = closing.enter_context(tempfile.TemporaryFile())
            waiting.append((what, start(what, command, output=said), said))
        # pytest answers 5 when it collected no test, so "no test ran" is a failure without a look at its output.
        if start("tests", ("pytest", *(f"--ignore={path}" for path in BESIDE))).wait() != 0:
            failed.append("tests")
        for what, child, said in waiting:
            code = child.wait()
            said.seek(0)
            print(f"test: {what}\n{said.read().decode(errors='replace')}", file=sys.stderr, flush=True)
            if code != 0:
                failed.append(what)
    if failed:
        print(f"test: failed: {', '.join(failed)}", file=sys.stderr)
    return ExitCode.FAILED if failed else ExitCode.OK


def start(what: str, words: Sequence[str], *, output: IO[bytes] | None = None) -> "subprocess.Popen[bytes]":
    """Start one Python tool at the project's root; it ends when this process does."""
    print(f"test: {what}", file=sys.stderr, flush=True)
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=PROJECT,
        env=with_java_home(own_environment()),
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        preexec_fn=bound_to_parent(signal.SIGTERM),
    )
