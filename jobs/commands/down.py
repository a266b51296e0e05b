"""`./viewledger down`: stop the stack that `up` or `demo --keep` left running."""

import sys

from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings.stack_in_use import folder_in_use


def run() -> ExitCode:
    """Return when no part of the stack that commands use is running; its data stays."""
    stack = LocalStack.attach(folder_in_use())
    if stack is None:
        print("no local stack is running", file=sys.stderr)
        return ExitCode.OK
    print(f"down: stopping stack {stack.folder.name}, our processes first, then the servers", file=sys.stderr)
    stack.stop()
    return ExitCode.OK
