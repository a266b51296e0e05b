"""Programs that only tests need: a browser and promtool. Without them the tests that need them are skipped."""

from pathlib import Path

from jobs.errors import CommandError
from jobs.setup import debian_packages, programs
from jobs.setup.bootstrap import alone
from jobs.setup.steps import say

PROMTOOL_PATH = "usr/bin/promtool"


def provide(home: Path) -> None:
    """Get what is missing where set-up may; says in one line what stays missing and how to get it. Never raises."""
    if not (packages := missing()):
        return
    try:
        with alone(home):
            if reason := debian_packages.why_not_installable():
                say(f"set-up may not install packages ({reason})")
            else:
                get(missing(), home)
    except CommandError as error:
        say(str(error))
    if packages := missing():
        say(f"tests that need {', '.join(packages)} will be skipped; {debian_packages.remedy_for(packages)}")


def missing() -> list[str]:
    """Debian packages whose program is not there."""
    present = {"chromium": programs.chromium() is not None, "prometheus": programs.promtool() is not None}
    return [package for package, there in present.items() if not there]


def get(packages: list[str], home: Path) -> None:
    """Installs the browser; of prometheus it takes promtool alone, since the package would run a server."""
    log = home / "log" / "setup.log"
    debian_packages.read_lists(packages, log=log)
    if "chromium" in packages:
        debian_packages.install(["chromium"], log=log)
    if "prometheus" in packages:
        debian_packages.extract("prometheus", PROMTOOL_PATH, into=home / "tools", log=log)
