"""Exit codes of every viewledger command; a test compares them with the table of docs/reference/commands.md."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The meaning of a command's exit status."""

    OK = 0
    """Done, and every check that belongs to the command held."""
    FAILED = 1
    """Stopped by an error that has no code of its own; the last line on stderr says which."""
    BAD_INPUT = 2
    """A flag, file, setting or id is wrong; the message names it and what is allowed. Nothing was done."""
    GATE_FAILED = 3
    """The data-quality gate refused a batch run: nothing was published, the report was written."""
    UNAVAILABLE = 4
    """A server that the command needs does not answer, and bounded retries did not help."""
    REFUSED = 5
    """A precondition does not hold (a period still open, a version that is not newer); each is named."""
    DIFFERENCE = 6
    """Numbers that must agree do not agree."""
    SETUP_FAILED = 7
    """A package, jar or system tool is missing and could not be installed; the remedy is printed."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; every process the command started has been ended."""
