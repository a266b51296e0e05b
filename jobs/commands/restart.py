"""`./viewledger restart NAME`: end one part of the local stack, and wait until it works again."""

import sys

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings.stack_in_use import folder_in_use


def run(*, name: str) -> ExitCode:
    """Return when the part has answered its probe under another process id; its data stays."""
    stack = LocalStack.attach(folder_in_use())
    if stack is None:
        raise CommandError("no local stack is running; ./viewledger up starts one", ExitCode.UNAVAILABLE)
    children = stack.report()["children"]
    names = [each for each, child in children.items() if child["kind"] != "task"]
    if name not in names:
        raise CommandError(
            f"stack {stack.folder.name} has no part {name!r}; give one of {', '.join(names)}", ExitCode.BAD_INPUT
        )
    print(f"restart: {name} of stack {stack.folder.name}", file=sys.stderr, flush=True)
    pid = stack.restart(name)
    print(f"{name} is ready as process {pid}")
    return ExitCode.OK
