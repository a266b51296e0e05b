"""Programs that observe a local stack: Prometheus, Alertmanager, and exporters."""

from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.setup import debian_packages
from jobs.setup.bootstrap import alone
from jobs.setup.programs import OBSERVERS, debian_name, observer

ROOT = Path("/")

ALERTMANAGER = debian_name("alertmanager")
TEMPLATES = "usr/share/prometheus/alertmanager"
"""Debian's Alertmanager reads them from the machine's root, whatever its settings are."""


def provide(home: Path) -> None:
    """Fetch the missing programs; none of their services is installed or started.

    Raises CommandError(SETUP_FAILED) if set-up may not, or a package cannot be fetched.
    """
    with alone(home):
        if not (packages := missing()):
            return
        if reason := debian_packages.why_not_installable():
            raise CommandError(
                f"{', '.join(packages)} are not installed, and set-up may not fetch them ({reason}); "
                f"{debian_packages.remedy_for(packages)}",
                ExitCode.SETUP_FAILED,
            )
        debian_packages.read_lists(packages, log=home / "log" / "setup.log")
        fetch(packages, home=home)


def missing() -> list[str]:
    """Return the Debian packages of the observers whose program is missing, or what it reads."""
    found = {debian_name(name): observer(name) for name in OBSERVERS}
    return [package for package, program in found.items() if program is None or _lacks_templates(program)]


def _lacks_templates(program: str) -> bool:
    return Path(program).name == ALERTMANAGER and not (ROOT / TEMPLATES).exists()


def fetch(packages: list[str], *, home: Path) -> None:
    """Extract the programs from their packages. Raises CommandError(SETUP_FAILED)."""
    log = home / "log" / "setup.log"
    for package in packages:
        debian_packages.extract(package, f"usr/bin/{package}", into=home / "tools", log=log)
    if ALERTMANAGER in packages and not (ROOT / TEMPLATES).exists():
        debian_packages.extract(ALERTMANAGER, TEMPLATES, into=ROOT, log=log)
