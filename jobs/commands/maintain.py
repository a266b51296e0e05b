"""`./viewledger maintain`: expire versions, and keep the tables and the served counts small."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict

from batch_layer.maintaining.compaction import TableFiles
from batch_layer.maintaining.erase import ErasureResult, retain_once
from batch_layer.maintaining.maintain import MaintenanceResult, maintain_once
from ingestion.contract.printable import counted
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes, refuse_differences
from jobs.wiring.batch_run import attempt
from jobs.wiring.maintenance import MaintenanceSettings, open_maintenance
from jobs.wiring.reconcile_ports import note_reconciled


def run(*, attempts: int, as_json: bool) -> ExitCode:
    """Do one maintenance.

    Exit codes: 4 a server is away, 5 a batch run is at work or nothing is published, 6 a difference.
    """
    chosen = MaintenanceSettings.from_environ(settings.environment("PIPELINE"))
    with errors_as_exit_codes():
        retained, result = attempt(lambda: _once(chosen), attempts)
    if as_json:
        print(json.dumps(asdict(result) | {"retention": asdict(retained)}, default=str))
    else:
        print(
            f"{counted(sum(retained.removed.values()), 'row')} of raw data and personal columns removed, "
            f"{counted(len(result.expired), 'version')} expired, {counted(result.dropped_tag_count, 'tag')} and "
            f"{counted(result.removed_file_count + result.orphan_count, 'file')} removed, counts joined before "
            f"{counted(result.rolled_up_count, 'version')}, {counted(len(result.compacted), 'day')} compacted "
            f"({_file_count(result.files_before):,} → {counted(_file_count(result.files_after), 'file')}); "
            f"version {result.version} is current"
        )
    for note in (*retained.notes, *result.notes):
        print(f"maintain: {note}", file=sys.stderr)
    refuse_differences(result.version, result.differences)
    return ExitCode.OK


def _file_count(tables: Mapping[str, TableFiles]) -> int:
    return sum(each.data_file_count + each.delete_file_count for each in tables.values())


def _once(chosen: MaintenanceSettings) -> tuple[ErasureResult, MaintenanceResult]:
    with open_maintenance(chosen) as ports:
        try:
            # first, so that a later maintenance removes the files
            retained = retain_once(ports.erasure)
            if retained.differences:
                refuse_differences(retained.version, retained.differences)
            return retained, maintain_once(ports)
        finally:
            note_reconciled(chosen.batch, ports.compaction.reconcile.reconciliations)
