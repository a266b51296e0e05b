"""The one error a command may end with on purpose."""

from jobs.exit_codes import ExitCode


class CommandError(Exception):
    """A problem the user can act on.

    The message is one sentence that says what is wrong, where, and what is allowed or what to do; `jobs.cli` prints
    it to stderr without a stack trace and exits with `code`.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code
