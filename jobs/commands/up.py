"""`./viewledger up`: start the local stack on its fixed ports and leave it running."""

import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import fixed_ports
from jobs.local_stack.servers import OPTIONAL_PROCESSES, PROCESSES, SERVERS
from jobs.local_stack.stack import LocalStack, read_report
from jobs.settings import environment
from jobs.settings.stack_in_use import is_running, refuse_second_stack
from jobs.settings.state_home import state_home
from jobs.setup import programs_to_observe
from jobs.setup.programs import OBSERVERS

OBSERVE = "observe"


def run(*, servers_only: bool, processes: str, beside: str | None) -> ExitCode:
    """Return when every part has answered its probe; a repetition while the stack runs changes nothing.

    Raises:
        CommandError: a process is unknown, the stack that runs lacks what is wanted, or something cannot start.
    """
    folder = state_home() / "local"
    wanted = [] if servers_only else [name for name in processes.split(",") if name]
    known = (*PROCESSES, *OPTIONAL_PROCESSES)
    if unknown := [name for name in wanted if name not in known]:
        raise CommandError(
            f"--processes names no process: {', '.join(unknown)}; give some of {', '.join(known)}", ExitCode.BAD_INPUT
        )
    if is_running(folder):
        _refuse_what_it_lacks(folder, [*wanted, *(OBSERVERS if beside == OBSERVE else ())])
        print("the local stack is running already; ./viewledger status shows it", file=sys.stderr)
        return ExitCode.OK
    refuse_second_stack(folder)
    if beside == OBSERVE:
        programs_to_observe.provide(state_home())
    stack = LocalStack.start(
        folder,
        ports=fixed_ports(environment()),
        servers=SERVERS,
        processes=wanted,
        is_observed=beside == OBSERVE,
        detached=True,
        tell=lambda text: print(f"up: {text}", file=sys.stderr, flush=True),
    )
    observers = OBSERVERS if beside == OBSERVE else ()
    for name, port in stack.ports.listening(processes=wanted, observers=observers).items():
        print(f"{name:<18}127.0.0.1:{port}")
    print(f"settings for clients: {folder / 'stack.env'}")
    return ExitCode.OK


def _refuse_what_it_lacks(folder: Path, parts: Sequence[str]) -> None:
    """Raise CommandError if a running stack was started without one of the parts: it gets none while it runs."""
    children = read_report(folder).get("children", {})
    if children and (missing := [name for name in parts if name not in children]):
        raise CommandError(
            f"the local stack is running without {', '.join(missing)}; run ./viewledger down, then this command again",
            ExitCode.REFUSED,
        )
