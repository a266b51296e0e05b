"""`./viewledger down`: stop the stacks that `up` and `demo --keep` left running."""

import sys

from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings.stack_in_use import STACKS
from jobs.settings.state_home import state_home


def run() -> ExitCode:
    """Return when no part of the stacks is running; their data stays."""
    stacks = [stack for name in STACKS if (stack := LocalStack.attach(state_home() / name))]
    if not stacks:
        print("the local stack is not running", file=sys.stderr)
    for stack in stacks:
        print(f"down: stopping {stack.folder.name}, our processes first, then the servers", file=sys.stderr)
        stack.stop()
    return ExitCode.OK
