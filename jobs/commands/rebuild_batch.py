"""`./viewledger rebuild batch`: count everything again from the archive and compare it with the published version."""

import json
import time
from dataclasses import asdict

from batch_layer.errors import DifferenceError
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run_result import RunResult
from ingestion.contract.printable import counted
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.telemetry.figures_file import recorded_check
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_run import attempt, open_ports
from jobs.wiring.batch_settings import RunSettings


def run(*, attempts: int, as_json: bool) -> ExitCode:
    """Return OK if every table has the same rows; DIFFERENCE names the first table and day that differ."""
    chosen = RunSettings.from_environ(settings.environment("PIPELINE"))
    started = time.monotonic()
    with errors_as_exit_codes(), recorded_check(chosen.state, "rebuild", DifferenceError):
        result = attempt(lambda: _rebuilt(chosen), attempts)
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(asdict(result) | {"seconds": round(seconds, 2)}, default=str))
    else:
        print(
            f"a rebuild of version {result.version} gives the same rows in every table: "
            f"{counted(result.row_counts['raw_events'], 'event')} in {seconds:.1f} s"
        )
    return ExitCode.OK


def _rebuilt(chosen: RunSettings) -> RunResult:
    with open_ports(chosen) as ports:
        return rebuild_once(ports)
