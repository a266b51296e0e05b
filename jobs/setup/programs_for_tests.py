"""Programs that only tests and faults need: a browser, promtool and PgBouncer, what observes a stack, and YARN.

Without the first ones, the tests that need them are skipped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.errors import CommandError
from jobs.settings.state_home import PROJECT
from jobs.setup import debian_packages, programs, programs_to_observe
from jobs.setup.bootstrap import alone, fetch_jars, install_system_packages, jars_stamp
from jobs.setup.steps import say

PROMTOOL_PATH = "usr/bin/promtool"
PGBOUNCER_PATH = "usr/sbin/pgbouncer"
NEEDED_BY: Mapping[str, tuple[str, ...]] = {
    "chromium": (
        "tests/e2e/test_player_in_browser.py",
        "tests/e2e/test_portal_in_browser.py",
        "tests/e2e/test_statement_check_in_browser.py",
    ),
    "prometheus": ("tests/unit/test_alert_rules.py", "tests/unit/test_dashboards.py"),
    "pgbouncer": ("tests/integration/test_postgres_pooler.py", "tests/laws/test_postgres_by_java.py"),
}
"""Debian package → the files of tests that need its program."""
OBSERVED = "tests/integration/test_observed_stack.py"
"""It needs all programs that observe a stack."""


def provide(home: Path, words: Sequence[str]) -> None:
    """Install the programs of the requested tests, if set-up may; print in one line what is missing. Never raises."""
    if not (packages := missing(words)):
        return
    try:
        with alone(home):
            if reason := debian_packages.why_not_installable():
                say(f"set-up may not install packages ({reason})")
            else:
                get(missing(words), home)
    except CommandError as error:
        say(str(error))
    if packages := missing(words):
        say(f"tests that need {', '.join(packages)} will be skipped; {debian_packages.remedy_for(packages)}")


def missing(words: Sequence[str]) -> list[str]:
    """Return the Debian packages that the requested tests need and whose program is missing."""
    present = {
        "chromium": programs.chromium() is not None,
        "prometheus": programs.promtool() is not None,
        "pgbouncer": programs.pgbouncer() is not None,
    }
    needed = [package for package, files in NEEDED_BY.items() if any(asked_for(each, words) for each in files)]
    observing = programs_to_observe.missing() if asked_for(OBSERVED, words) else []
    return list(dict.fromkeys([*(package for package in needed if not present[package]), *observing]))


def asked_for(path: str, words: Sequence[str]) -> bool:
    """Return whether words for pytest select a file of tests: none at all, its folder, its path or a part of it."""
    names = [name for word in words if (name := word.partition("::")[0].removeprefix("./").rstrip("/"))]
    return not names or any(name in path for name in names)


def get(packages: list[str], home: Path) -> None:
    """Install the browser; of the others take the programs alone, since the packages would run servers."""
    log = home / "log" / "setup.log"
    debian_packages.read_lists(packages, log=log)
    if "chromium" in packages:
        debian_packages.install(["chromium"], log=log)
    if "prometheus" in packages and programs.promtool() is None:
        debian_packages.extract("prometheus", PROMTOOL_PATH, into=home / "tools", log=log)
    if "pgbouncer" in packages:
        debian_packages.install(["libc-ares2"], log=log)
        debian_packages.extract("pgbouncer", PGBOUNCER_PATH, into=home / "tools", log=log)
    programs_to_observe.fetch([each for each in packages if each in programs_to_observe.missing()], home=home)


def yarn_jars(home: Path) -> Path:
    """Return the folder of YARN's jars; fetch them if they are missing. Raises CommandError(SETUP_FAILED)."""
    pom, folder = PROJECT / "pom.xml", home / "jars" / "yarn"
    stamp = jars_stamp(home, pom).with_suffix(".yarn")
    if not stamp.exists():
        with alone(home):
            if not stamp.exists():  # nor fetched by the set-up we waited for
                install_system_packages(home, jars_wanted=True)
                fetch_jars(home, pom, folder.name)
                stamp.touch()
    return folder
