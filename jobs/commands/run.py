"""`./viewledger run collector|speed|api|sql`: one process in the foreground, as a supervisor or container starts it."""

import argparse
import importlib
from typing import Protocol, cast

from jobs.exit_codes import ExitCode

PROCESSES = {
    "collector": "jobs.processes.collector",
    "speed": "jobs.processes.speed",
    "api": "jobs.processes.api",
    "sql": "jobs.processes.sql",
}
"""Imported only when asked for: the API must not need the collector's libraries, nor pay for loading them."""


class Process(Protocol):
    """What a process's module offers."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Works until it is told to stop."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the process."""
    parser.add_argument(
        "process", choices=sorted(PROCESSES), help="which process to run; its settings are VIEWLEDGER_*"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the process until SIGTERM or Ctrl-C."""
    return cast(Process, importlib.import_module(PROCESSES[arguments.process])).run(arguments)
