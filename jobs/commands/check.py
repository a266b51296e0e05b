"""`./viewledger check`: format, lint and types; a commit must pass them before any test runs."""

import subprocess
import sys

from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT

TOOLS = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
}


def run() -> ExitCode:
    """Return OK only if every tool found nothing; all of them run, so that one call shows everything."""
    failed = [what for what, command in TOOLS.items() if not finds_nothing(*command)]
    if failed:
        print(f"check: failed: {', '.join(failed)}", file=sys.stderr)
    return ExitCode.FAILED if failed else ExitCode.OK


def finds_nothing(*command: str) -> bool:
    """Return whether a tool of this environment succeeds at the project's root; it prints its own findings."""
    return subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=False).returncode == 0
