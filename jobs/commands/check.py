"""`./viewledger check`: format, lint and types; what a commit must pass before any test runs."""

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
    """OK only when every tool found nothing; each runs whatever the others found, so one run shows everything."""
    failed = [what for what, command in TOOLS.items() if not finds_nothing(*command)]
    if failed:
        print(f"check: failed: {', '.join(failed)}", file=sys.stderr)
    return ExitCode.FAILED if failed else ExitCode.OK


def finds_nothing(*command: str) -> bool:
    """Whether a tool of this environment ends well at the project's root; it says itself what it finds."""
    return subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=False).returncode == 0
