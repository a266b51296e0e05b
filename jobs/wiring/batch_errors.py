"""The exit codes of the batch layer's errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from batch_layer.errors import BatchError, DifferenceError, GateFailedError, RefusedError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

EXIT_CODES: dict[type[BatchError], ExitCode] = {
    GateFailedError: ExitCode.GATE_FAILED,
    RefusedError: ExitCode.REFUSED,
    DifferenceError: ExitCode.DIFFERENCE,
}


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Give the batch layer's errors their exit codes, and silence the clients, which add nothing to our sentence."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        yield
    except BatchError as error:
        raise CommandError(str(error), EXIT_CODES.get(type(error), ExitCode.FAILED)) from error
