"""`./viewledger forget`: remove what a viewer sent, and keep every count and its proof."""

import json
import re
import sys
from dataclasses import asdict

from batch_layer.maintaining.erase import ErasureResult, erase_once
from batch_layer.maintaining.ports import RemovalOrder
from ingestion.contract.printable import counted
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes, refuse_differences
from jobs.wiring.batch_run import attempt
from jobs.wiring.maintenance import MaintenanceSettings, open_maintenance
from jobs.wiring.pseudonyms import pseudonymiser
from jobs.wiring.reconcile_ports import note_reconciled


def run(*, viewer: str | None, user: str | None, actor: str, reason: str, attempts: int, as_json: bool) -> ExitCode:
    """Forget one viewer, given by pseudonym or by the platform's own id.

    Exit codes: 2 the record would name the viewer, 4 a server is away, 5 a batch run is at work or the viewer is
    unknown, 6 a difference.
    """
    environ = settings.environment("PIPELINE")
    given = [each for each in (viewer, user) if each is not None]
    if len(given) != 1:
        raise CommandError("give the viewer as --viewer PSEUDONYM or as --user ID, and not as both", ExitCode.BAD_INPUT)
    if names(reason, given[0]) or names(actor, given[0]):
        raise CommandError(
            "--reason or --actor names the viewer, and both are stored permanently; give the number of the request",
            ExitCode.BAD_INPUT,
        )
    order = RemovalOrder(actor, reason, viewer=viewer if user is None else pseudonymiser(environ)(user))
    chosen = MaintenanceSettings.from_environ(environ)
    with errors_as_exit_codes():
        result = attempt(lambda: _once(chosen, order), attempts)
    if as_json:
        print(json.dumps(asdict(result), default=str))
    else:
        rows = ", ".join(f"{counted(count, 'row')} of {table}" for table, count in sorted(result.removed.items()))
        print(
            f"version {result.version} is without them: {rows}; the first maintenance after "
            f"{result.files_gone_after:%Y-%m-%d %H:%M} UTC deletes their files"
        )
    for note in result.notes:
        print(f"forget: {note}", file=sys.stderr)
    refuse_differences(result.version, result.differences)
    return ExitCode.OK


def names(text: str, viewer: str) -> bool:
    """Return whether a text has the viewer's name as a word of its own."""
    return re.search(rf"(?<![\w-]){re.escape(viewer)}(?![\w-])", text) is not None


def _once(chosen: MaintenanceSettings, order: RemovalOrder) -> ErasureResult:
    with open_maintenance(chosen) as ports:
        try:
            return erase_once(ports.erasure, order)
        finally:
            note_reconciled(chosen.batch, ports.erasure.reconcile.reconciliations)
