"""`./viewledger test`: lint, format, types, then every test."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from jobs.exit_codes import ExitCode
from jobs.local_stack.child_process import bound_to_parent
from jobs.local_stack.servers import with_java_home
from jobs.state_home import PROJECT

CHECKS = (
    ("lint", ("ruff", "check", "--quiet", ".")),
    ("format", ("ruff", "format", "--check", "--quiet", ".")),
    ("types", ("mypy",)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes every word as it is: pytest's flags are pytest's."""
    parser.prefix_chars = "\0"  # argparse then claims no flag for itself, so that -k and -x reach pytest
    parser.add_argument("words", nargs="*", metavar="PYTEST_ARGUMENT", help="pytest's own arguments, such as -k NAME")


def run(arguments: argparse.Namespace) -> ExitCode:
    """OK only when every check held, at least one test ran and none failed; pytest's closing line comes last.

    The tests run even when a check failed, so that one run shows everything.
    """
    failed = [what for what, words in CHECKS if step(what, words) != 0]
    if failed:
        print(f"test: {', '.join(failed)} failed (see above); the tests run all the same", file=sys.stderr)
    # pytest answers 5 when it collected no test, so "no test ran" is a failure without a look at its output.
    if step("tests", ("pytest", *arguments.words)) != 0:
        failed.append("tests")
    return ExitCode.FAILED if failed else ExitCode.OK


def step(what: str, words: Sequence[str]) -> int:
    """Runs one Python tool at the project's root; it ends when this process does."""
    print(f"test: {what}", file=sys.stderr, flush=True)
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=PROJECT,
        env=with_java_home(os.environ),
        preexec_fn=bound_to_parent(signal.SIGTERM),
        check=False,
    ).returncode
