"""`./viewledger completion`: the script by which a shell completes commands and flags."""

from jobs.command_line.words import completion_script
from jobs.exit_codes import ExitCode


def run(*, shell: str) -> ExitCode:
    """Print the script; the shell that reads it asks this program for what can come next."""
    print(completion_script(shell))
    return ExitCode.OK
