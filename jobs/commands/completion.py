"""`./viewledger completion`: print the script by which a shell completes commands and flags."""

from jobs.command_line.words import completion_script
from jobs.exit_codes import ExitCode


def run(*, shell: str) -> ExitCode:
    """Print the script; a shell that reads it calls this program for the possible next words."""
    print(completion_script(shell))
    return ExitCode.OK
