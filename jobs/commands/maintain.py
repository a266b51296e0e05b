"""`./viewledger maintain`: expire versions, and keep the tables and the served counts small."""

import json
from dataclasses import asdict

from batch_layer.maintaining.maintain import MaintenanceResult, maintain_once
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_run import attempt
from jobs.wiring.maintenance import MaintenanceSettings, open_maintenance


def run(*, attempts: int, as_json: bool) -> ExitCode:
    """Do one maintenance. Exit codes: 4 a server is away, 5 a batch run is at work or nothing is published."""
    chosen = MaintenanceSettings.from_environ(settings.environment("PIPELINE"))
    with errors_as_exit_codes():
        result = attempt(lambda: _once(chosen), attempts)
    if as_json:
        print(json.dumps(asdict(result)))
    else:
        print(
            f"{len(result.expired):,} versions expired, {result.dropped_tag_count:,} tags and "
            f"{result.removed_file_count + result.orphan_count:,} files removed, counts joined before "
            f"{result.rolled_up_count:,} versions; version {result.version} is current"
        )
    return ExitCode.OK


def _once(chosen: MaintenanceSettings) -> MaintenanceResult:
    with open_maintenance(chosen) as ports:
        return maintain_once(ports)
