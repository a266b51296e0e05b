"""Each error that stops a batch run has its exit code."""

import pytest

from batch_layer.errors import (
    ArchiveError,
    AtWorkError,
    BatchError,
    DifferenceError,
    EarlierLayoutError,
    GateFailedError,
    RefusedError,
)
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import exit_code_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("nothing is published"), ExitCode.REFUSED),
        (AtWorkError(), ExitCode.REFUSED),
        (EarlierLayoutError(7), ExitCode.REFUSED),
        (DifferenceError("a file is gone"), ExitCode.DIFFERENCE),
        (GateFailedError(["views"], "index.html"), ExitCode.GATE_FAILED),
        (ArchiveError("an offset twice"), ExitCode.FAILED),
    ],
)
def test_a_batch_error_ends_a_command_with_the_code_of_its_kind(error: BatchError, code: ExitCode) -> None:
    assert exit_code_of(error) == code
