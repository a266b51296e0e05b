"""`./viewledger docs build|serve`: the documentation as a site, in the reading order of mkdocs.yml."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import PROJECT, state_home

SEARCH_INDEX = Path("search", "search_index.json")
"""A file that every site has: a folder with it may be built again."""


def build(*, to: Path | None) -> ExitCode:
    """OK only when the whole site was built without a warning; prints its first page.

    Raises CommandError(BAD_INPUT) if the folder cannot be written or holds something else, since a build empties it.
    """
    site = (to or state_home() / "site").resolve()
    try:
        site.mkdir(parents=True, exist_ok=True)
        holds_something_else = any(site.iterdir()) and not (site / SEARCH_INDEX).is_file()
    except OSError as error:
        raise CommandError(
            f"the site's folder cannot be made: {site} ({error.strerror}); name another one", ExitCode.BAD_INPUT
        ) from error
    if holds_something_else or not os.access(site, os.W_OK):
        fault = "holds something else" if holds_something_else else "cannot be written"
        raise CommandError(f"the site's folder {fault}: {site}; name another one", ExitCode.BAD_INPUT)
    code = mkdocs("build", "--strict", "--quiet", "--site-dir", str(site))
    if code is ExitCode.OK:
        print(site / "index.html")
    return code


def serve(*, port: int) -> ExitCode:
    """Show the site on this machine until interrupted, built again after each change.

    Raises CommandError(UNAVAILABLE) if the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(
                f"the port is taken: {port} ({error.strerror}); give another one by --port", ExitCode.UNAVAILABLE
            ) from error
    return mkdocs("serve", "--strict", "--dev-addr", f"127.0.0.1:{port}")


def mkdocs(action: str, *words: str) -> ExitCode:
    """Run the site's generator on the project's pages; it says itself what it finds."""
    command = [sys.executable, "-m", "mkdocs", action, "--config-file", str(PROJECT / "mkdocs.yml"), *words]
    environ = own_environment() | {"NO_MKDOCS_2_WARNING": "1"}  # an advertisement, not a warning about the pages
    ended = subprocess.run(command, cwd=PROJECT, env=environ, check=False)
    return ExitCode.OK if ended.returncode == 0 else ExitCode.FAILED
