"""`./viewledger docs build|serve`: the documentation as a site, in the reading order of mkdocs.yml."""

import subprocess
import sys
from pathlib import Path

from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import PROJECT, state_home


def build(*, to: Path | None) -> ExitCode:
    """Return OK only if the whole site was built without a warning; print its first page."""
    site = (to or state_home() / "site").resolve()
    code = mkdocs("build", "--strict", "--quiet", "--site-dir", str(site))
    if code is ExitCode.OK:
        print(site / "index.html")
    return code


def serve(*, port: int) -> ExitCode:
    """Serve the site on this machine until interrupted; rebuild it after each change."""
    return mkdocs("serve", "--strict", "--dev-addr", f"127.0.0.1:{port}")


def mkdocs(action: str, *words: str) -> ExitCode:
    """Run the site's generator on the project's pages; it prints its own findings."""
    command = [sys.executable, "-m", "mkdocs", action, "--config-file", str(PROJECT / "mkdocs.yml"), *words]
    environ = own_environment() | {"NO_MKDOCS_2_WARNING": "1"}  # an advertisement, not a warning about the pages
    return (
        ExitCode.OK
        if subprocess.run(command, cwd=PROJECT, env=environ, check=False).returncode == 0
        else ExitCode.FAILED
    )
