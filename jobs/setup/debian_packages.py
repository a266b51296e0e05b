"""Install Debian packages, if set-up may: as root, with apt, and not forbidden. Standard library only."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from jobs.settings.declared.machine import APT
from jobs.settings.own_environment import own_environment
from jobs.setup.steps import run_step


def why_not_installable() -> str | None:
    """Return the reason why packages may not be installed here; None if they may."""
    if not APT.read(own_environment()):
        return f"{APT.name}=0"
    return "not root, or no apt-get here" if os.geteuid() != 0 or shutil.which("apt-get") is None else None


def remedy_for(packages: Sequence[str]) -> str:
    """Return the command that a person runs instead."""
    return f"run as root: apt-get update && apt-get install {' '.join(packages)}"


def read_lists(packages: Sequence[str], *, log: Path) -> None:
    """Update apt's package lists before these packages are fetched. Raises CommandError(SETUP_FAILED)."""
    _step("reading the package lists", ["apt-get", "update", "-q"], packages, log=log)


def install(packages: Sequence[str], *, log: Path) -> None:
    """Install packages with their dependencies and no recommendations. Raises CommandError(SETUP_FAILED)."""
    # A service that apt starts along the way listens on its usual port; ours have ports of their own.
    command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
    _step(f"installing {', '.join(packages)} (about 1 minute)", command, packages, log=log)


def extract(package: str, path: str, *, into: Path, log: Path) -> None:
    """Extract one file or folder of a package to `<into>/<path>`; nothing is installed, so no service of it starts.

    Raises CommandError(SETUP_FAILED).
    """
    into.mkdir(parents=True, exist_ok=True)
    script = (
        'set -e; folder=$(mktemp -d); trap "rm -rf $folder" EXIT; cd "$folder"; '
        'apt-get download -q "$1"; dpkg-deb --fsys-tarfile "$1"_*.deb > files.tar; tar -xf files.tar -C "$2" "./$3"'
    )
    command = ["sh", "-c", script, "sh", package, str(into), path]
    _step(f"fetching {Path(path).name} from the package {package}", command, [package], log=log)


def _step(what: str, command: Sequence[str], packages: Sequence[str], *, log: Path) -> None:
    environ = own_environment() | {"DEBIAN_FRONTEND": "noninteractive"}
    run_step(what, command, log=log, remedy=remedy_for(packages), environ=environ)
