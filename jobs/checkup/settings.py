"""Checks of the settings: which are set, which values are wrong, which names are unknown."""

from collections.abc import Mapping
from difflib import get_close_matches

from jobs.checkup.checks import CheckRow, bad, ok, warn
from jobs.errors import CommandError
from jobs.settings import layered
from jobs.settings.declared import NAMES, SETTINGS

PAGE = "docs/reference/settings.md"
PREFIX = "VIEWLEDGER_"


def setting_rows(own: Mapping[str, str], running: Mapping[str, str]) -> list[CheckRow]:
    """Return every check of the settings. `own`: this process's environment; `running`: of the stack that runs here.

    A secret's value is never shown.
    """
    environ = layered(running, own)
    wrong = [_wrong_row(name, environ) for name, each in SETTINGS.items() if each.is_set(environ)]
    return [*_set_rows(own, running), *filter(None, wrong), *map(_unknown_row, _unknown(own))]


def _set_rows(own: Mapping[str, str], running: Mapping[str, str]) -> list[CheckRow]:
    shown = [
        f"{name}={'(secret)' if each.is_secret else own[name]}" for name, each in SETTINGS.items() if each.is_set(own)
    ]
    rows = [ok("settings", f"{', '.join(shown) or 'none'} in the environment")]
    if running:
        known = sum(name in SETTINGS for name in running)
        rows.append(ok("settings", f"{known} from the running stack, where the environment says nothing else"))
    return rows


def _wrong_row(name: str, environ: Mapping[str, str]) -> CheckRow | None:
    try:
        SETTINGS[name].read_if_set(environ)
    except CommandError as error:
        return bad("setting", str(error), f"set it right, or unset it ({PAGE})")
    return None


def _unknown(own: Mapping[str, str]) -> list[str]:
    return sorted(name for name in own if name.startswith(PREFIX) and name not in NAMES)


def _unknown_row(name: str) -> CheckRow:
    known = [each.removeprefix(PREFIX) for each in SETTINGS if each.startswith(PREFIX)]
    alike = get_close_matches(name.removeprefix(PREFIX), known, n=1)
    remedy = f"did you mean {PREFIX}{alike[0]}?" if alike else f"unset it; the settings are in {PAGE}"
    return warn("setting", f"{name} is set, and no setting has this name", remedy)
