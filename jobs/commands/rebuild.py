"""`./viewledger rebuild speed|batch`: counts everything again, and says how long that took."""

import argparse
from collections.abc import Callable

from jobs.commands import rebuild_batch, rebuild_speed
from jobs.exit_codes import ExitCode

TARGETS = {"speed": rebuild_speed, "batch": rebuild_batch}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the targets and their flags."""
    targets = parser.add_subparsers(dest="target", required=True, metavar="speed|batch")
    for name, module in TARGETS.items():
        target = targets.add_parser(name, help=module.HELP)
        module.add_arguments(target)
        target.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Rebuilds one target; see there for the exit codes."""
    rebuild: Callable[[argparse.Namespace], ExitCode] = TARGETS[arguments.target].run
    return rebuild(arguments)
