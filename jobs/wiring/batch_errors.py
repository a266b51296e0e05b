"""The exit codes of the batch layer's errors."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from batch_layer.errors import BatchError, DifferenceError, GateFailedError, RefusedError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

EXIT_CODES: dict[type[BatchError], ExitCode] = {
    GateFailedError: ExitCode.GATE_FAILED,
    RefusedError: ExitCode.REFUSED,
    DifferenceError: ExitCode.DIFFERENCE,
}


def refuse_differences(version: int, differences: Sequence[str]) -> None:
    """Raise CommandError if a version does not agree."""
    if differences:
        raise CommandError(
            f"version {version} does not agree: {differences[0]}; nothing is published or billed until "
            "./viewledger reconcile finds no difference",
            ExitCode.DIFFERENCE,
        )


def silence_libraries() -> None:
    """Keep what libraries log out of our logs: it adds nothing to our sentences."""
    for library in map(logging.getLogger, ("kafka", "py4j", "great_expectations")):
        library.handlers, library.propagate = [logging.NullHandler()], False
    # py4j also uses the root logger; records of other loggers do not pass its filters
    logging.getLogger().addFilter(_nothing)


def _nothing(_: logging.LogRecord) -> bool:
    return False


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Give the batch layer's errors their exit codes, and silence the libraries."""
    silence_libraries()
    try:
        yield
    except BatchError as error:
        raise CommandError(str(error), exit_code_of(error)) from error


def exit_code_of(error: BatchError) -> ExitCode:
    """Return the code of the kind that an error belongs to."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), ExitCode.FAILED)
