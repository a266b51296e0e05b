"""`./viewledger doctor`: check everything the pipeline needs, and show how to fix each problem."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from jobs.checkup.checks import CheckRow, CheckVerdict, bad, ok, warn
from jobs.checkup.machine import machine_rows
from jobs.checkup.pipeline import pipeline_rows
from jobs.checkup.servers import server_rows
from jobs.checkup.settings import setting_rows
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings import environment
from jobs.settings.declared.machine import NO_COLOR
from jobs.settings.declared.pipeline import ATTESTATION_KEYS_FILE, PLAY_KEYS_FILE, RECEIPT_KEYS_FILE
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP
from jobs.settings.kinds import LocalPath
from jobs.settings.own_environment import own_environment
from jobs.settings.stack_in_use import folder_in_use, is_running, read_environment
from jobs.settings.state_home import state_home
from jobs.wiring.attestations import read_attestation_keys
from jobs.wiring.plays import read_plays
from jobs.wiring.receipts import read_receipts

KEY_FILES: Mapping[LocalPath, Callable[[Mapping[str, str]], object]] = {
    PLAY_KEYS_FILE: read_plays,
    ATTESTATION_KEYS_FILE: read_attestation_keys,
    RECEIPT_KEYS_FILE: read_receipts,
}
"""Setting → what reads its file."""


def run(*, as_json: bool) -> ExitCode:
    """Return OK if nothing is bad, else FAILED; warnings do not count."""
    home, environ = state_home(), environment()
    folder = folder_in_use()
    running = read_environment(folder) if is_running(folder) else {}
    rows = machine_rows(home, environ, running=running, stack=folder.name) + setting_rows(own_environment(), running)
    rows += key_rows(environ)
    if KAFKA_BOOTSTRAP.is_set(environ):
        rows += server_rows(environ) + pipeline_rows(environ)
    else:
        rows.append(warn("servers", "the local stack is down, so none was checked", "run ./viewledger up"))
    print(json.dumps([asdict(row) for row in rows], indent=1) if as_json else table(rows, colour=wants_colour()))
    return ExitCode.FAILED if any(row.verdict is CheckVerdict.BAD for row in rows) else ExitCode.OK


def key_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Read every file of keys that a setting names, as the collector does."""
    rows = []
    for setting, read in KEY_FILES.items():
        if setting.is_set(environ):
            try:
                read(environ)
            except CommandError as error:
                rows.append(
                    bad(
                        "keys",
                        str(error),
                        "write the file again; docs/concepts/events.md and docs/reference/settings.md describe it",
                    )
                )
            else:
                rows.append(ok("keys", f"those of {setting.name} can be used"))
    return rows


def wants_colour() -> bool:
    """Return whether to colour verdicts: on a terminal, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not NO_COLOR.is_set(own_environment())


def table(rows: Sequence[CheckRow], *, colour: bool) -> str:
    """Return the rows for people, each remedy below its finding."""
    codes = {CheckVerdict.OK: "32", CheckVerdict.WARN: "33", CheckVerdict.BAD: "31"}
    lines = []
    for row in rows:
        verdict = f"{row.verdict:<5}"
        marked = f"\033[{codes[row.verdict]}m{verdict}\033[0m" if colour else verdict
        lines.append(f"{marked}{row.subject:<19}{row.found}")
        if row.remedy:
            lines.append(f"{'':24}→ {row.remedy}")
    return "\n".join(lines)
