"""Set-up: system packages, the virtual environment, the Java parts; then the command. Standard library only.

Instant if nothing is to do: each part leaves a stamp named by the hash of its inputs, written last, so that an
interrupted set-up never counts as done. Packages for development alone are installed when a command needs them.
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import asked_for_completion, own_environment
from jobs.settings.state_home import PROJECT, state_home
from jobs.setup import debian_packages, programs
from jobs.setup.steps import run_step, say

DEVELOPING = frozenset({"check", "docs", "test"})
"""The commands that need requirements-dev.lock as well, which pins all that requirements.lock does."""
JAR_PROFILES = ("kafka", "hadoop", "spark")
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
PIP_REMEDY = "check the connection to the package index and run the same command again"
FREE_GIB_NEEDED = 5
"""Virtual environment 1.5 GB, jars and Maven's cache 0.6 GB, system packages 0.5 GB, one demo 1 GB, and a reserve."""


def set_up(home: Path, project: Path = PROJECT, *, developing: bool = False) -> Path:
    """Install everything that is missing and return the Python to run; raise CommandError(SETUP_FAILED)."""
    lock, dev_lock, pom = project / "requirements.lock", project / "requirements-dev.lock", project / "pom.xml"
    venv, jars = venv_folder(home, lock), jars_stamp(home, pom)
    stamps = [venv / "complete", jars, classes_stamp(venv), *([developing_stamp(venv, dev_lock)] if developing else [])]
    if not is_ready(home, venv, stamps):
        with alone(home):
            if is_ready(home, venv, stamps):  # by the set-up we waited for
                return home / "venv" / "bin" / "python"
            check_disk(home)
            install_system_packages(home, jars_wanted=not jars.exists())
            make_venv(home, venv, lock)
            if developing:
                add_developing(home, venv, dev_lock)
            make_jars(home, pom, jars)
            archive_classes(home, venv)
            say(f"everything is in {home}")
    return home / "venv" / "bin" / "python"


def is_ready(home: Path, venv: Path, stamps: Sequence[Path]) -> bool:
    """Return whether nothing is to do; reads a few folders and starts no program."""
    made = all(stamp.exists() for stamp in stamps) and (home / "venv").resolve() == venv.resolve()
    return made and not missing_packages(jars_wanted=False)


def venv_folder(home: Path, lock: Path) -> Path:
    """Return the environment's folder, named after lock and Python; `<home>/venv` points to the current one."""
    return home / f"venv-{short_hash(lock.read_bytes(), sys.version.encode(), sys.executable.encode())}"


def developing_stamp(venv: Path, dev_lock: Path) -> Path:
    """Return the stamp file of the packages of this requirements-dev.lock."""
    return venv / f"developing-{short_hash(dev_lock.read_bytes())}"


def jars_stamp(home: Path, pom: Path) -> Path:
    """Return the stamp file of the jars of this pom.xml."""
    return home / "jars" / f"complete-{short_hash(pom.read_bytes())}"


def classes_stamp(venv: Path) -> Path:
    """Return the stamp file of the archive of Spark's classes, which one build of Java can read."""
    java = programs.java()
    return venv / f"classes-{short_hash(programs.java_release(java).encode() if java else b'')}"


def short_hash(*parts: bytes) -> str:
    """Return twelve hexadecimal digits that identify the given bytes."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def missing_packages(*, jars_wanted: bool) -> list[str]:
    """Return the Debian packages whose program is missing, in any acceptable version."""
    present = {
        "openjdk-17-jre-headless": programs.java() is not None,
        "redis-server": programs.redis_server() is not None,
        "postgresql": programs.postgres_folder() is not None,
        "maven": programs.maven() is not None or not jars_wanted,
    }
    return [package for package, there in present.items() if not there]


def install_system_packages(home: Path, *, jars_wanted: bool) -> None:
    """Install missing packages, as root with apt only; otherwise the error names the command to run."""
    packages = missing_packages(jars_wanted=jars_wanted)
    if not has_ensurepip():
        packages.append(f"python3.{sys.version_info.minor}-venv")
    if not packages:
        return
    if reason := debian_packages.why_not_installable():
        raise CommandError(
            f"missing: {', '.join(packages)}, and set-up may not install them ({reason}); "
            f"{debian_packages.remedy_for(packages)}",
            ExitCode.SETUP_FAILED,
        )
    log = home / "log" / "setup.log"
    debian_packages.read_lists(packages, log=log)
    debian_packages.install(packages, log=log)
    if still := missing_packages(jars_wanted=jars_wanted):
        raise CommandError(
            f"apt installed its packages, but {', '.join(still)} is still not usable; Java must be between "
            f"{programs.JAVA_OLDEST} and {programs.JAVA_NEWEST}: set JAVA_HOME",
            ExitCode.SETUP_FAILED,
        )


def has_ensurepip() -> bool:
    """Return whether this Python can make a virtual environment with pip in it (Debian splits that off)."""
    try:
        import ensurepip
    except ImportError:
        return False
    return bool(ensurepip.version())


def make_venv(home: Path, venv: Path, lock: Path) -> None:
    """Build the environment beside the current one and then point `<home>/venv` to it."""
    if not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        log = home / "log" / "setup.log"
        run_step("making a virtual environment", [sys.executable, "-m", "venv", str(venv)], log=log, remedy=PIP_REMEDY)
        with tempfile.TemporaryDirectory() as folder:
            # pyspark is published as source only: its build tool comes from the lock too, so it is installed first.
            (build := Path(folder, "build.txt")).write_text(lock_entry(lock.read_text(), "setuptools"))
            run_step("installing the build tool", pip_install(venv, build), log=log, remedy=PIP_REMEDY)
        install_packages(home, venv, lock)
        (venv / "complete").touch()
    link = home / f".venv-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(venv.name)
    if (home / "venv").is_dir() and not (home / "venv").is_symlink():
        shutil.rmtree(home / "venv")
    link.replace(home / "venv")


def add_developing(home: Path, venv: Path, dev_lock: Path) -> None:
    """Add the packages for development; the other packages have the same pins in both locks and are not changed."""
    stamp = developing_stamp(venv, dev_lock)
    if stamp.exists():
        return
    for old in venv.glob("developing-*"):
        old.unlink()
    install_packages(home, venv, dev_lock)
    stamp.touch()


def install_packages(home: Path, venv: Path, lock: Path) -> None:
    """Install the packages of a lock that the environment does not have yet; raise CommandError(SETUP_FAILED)."""
    count = len(re.findall(r"^\S+==", lock.read_text(), re.MULTILINE))
    what = f"installing the {count} Python packages of {lock.name} (2 to 4 minutes)"
    run_step(what, pip_install(venv, lock), log=home / "log" / "setup.log", remedy=PIP_REMEDY)


def pip_install(venv: Path, requirements: Path) -> list[str]:
    """Return the command that installs a file of pins, each package only with one of its hashes."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary=:all:", "--no-binary=pyspark", "--no-build-isolation"]
    return [*command, "-r", str(requirements)]


def lock_entry(text: str, package: str) -> str:
    """Return the lines of one package in a lock file: its pin and every hash."""
    found = re.search(rf"^{package}==.*(?:\n    --hash=.*)+", text, re.MULTILINE)
    if found is None:
        raise CommandError(f"requirements.lock pins no {package}; make the file again", ExitCode.SETUP_FAILED)
    return found.group() + "\n"


def make_jars(home: Path, pom: Path, stamp: Path) -> None:
    """Fetch the Java parts, one folder per class path; a folder appears only when it is complete."""
    if stamp.exists():
        return
    stamp.parent.mkdir(parents=True, exist_ok=True)
    for old in stamp.parent.glob("complete-*"):
        old.unlink()
    for profile in JAR_PROFILES:
        fetch_jars(home, pom, profile)
    stamp.touch()


def fetch_jars(home: Path, pom: Path, profile: str) -> None:
    """Fetch the jars of one class path into a folder of its name, which appears only when it is complete."""
    partial, whole = home / "jars" / f".{profile}.partial", home / "jars" / profile
    shutil.rmtree(partial, ignore_errors=True)
    goal = f"{DEPENDENCY_PLUGIN}:copy-dependencies"
    options = ["-P", profile, "-f", str(pom), "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
    run_step(
        f"fetching the Java parts for {profile} (up to 1 minute)",
        [programs.maven() or "mvn", "-q", "-B", goal, *options],
        log=home / "log" / "setup.log",
        remedy="check the connection to the Maven repository and run the same command again",
    )
    shutil.rmtree(whole, ignore_errors=True)
    partial.rename(whole)


def archive_classes(home: Path, venv: Path) -> None:
    """Let Java record the classes of Spark, so that it starts Spark in half the time; without it nothing is missing."""
    stamp = classes_stamp(venv)
    if stamp.exists():
        return
    for old in venv.glob("classes-*"):
        old.unlink()
    command = [
        str(venv / "bin" / "python"),
        "-P",
        "-m",
        "batch_layer.lake.spark_class_archive",
        str(home / "jars" / "spark"),
    ]
    what, remedy = "recording the classes of Spark (half a minute)", "Spark starts without them, more slowly"
    try:
        run_step(
            what,
            command,
            log=home / "log" / "setup.log",
            remedy=remedy,
            environ=programs.with_java_home(own_environment()),
        )
    except CommandError as error:
        say(str(error))
    stamp.touch()


def check_disk(home: Path) -> None:
    """Fail before the first download if the disk is too full."""
    free_gib = shutil.disk_usage(home).free / 2**30
    if free_gib < FREE_GIB_NEEDED:
        raise CommandError(
            f"{home} has {free_gib:.1f} GiB free and set-up with one demo needs {FREE_GIB_NEEDED} GiB; free some, or "
            "set VIEWLEDGER_HOME to a folder on another disk",
            ExitCode.SETUP_FAILED,
        )


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the set-up's lock, waiting for another set-up of the same home; the kernel frees it if this process dies."""
    try:
        (home / "log").mkdir(parents=True, exist_ok=True)
        lock = (home / "setup.lock").open("w")
    except OSError as error:
        raise CommandError(
            f"cannot write to {home} ({error.strerror}); set VIEWLEDGER_HOME to a folder you may write to",
            ExitCode.SETUP_FAILED,
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def interrupted(_signal: int, _frame: FrameType | None) -> None:
    """Make SIGTERM end the running step the same way as Ctrl-C."""
    raise KeyboardInterrupt


def main() -> ExitCode:
    """Set up, then become the command line under the environment's Python."""
    signal.signal(signal.SIGTERM, interrupted)
    try:
        home = state_home()
        if asked_for_completion() and not (home / "venv" / "bin" / "python").exists():
            return ExitCode.OK  # completion must not start a set-up
        python = str(set_up(home, developing=not DEVELOPING.isdisjoint(sys.argv[1:2])))
    except CommandError as error:
        print(f"viewledger: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("viewledger: set-up interrupted; the same command carries on from here", file=sys.stderr)
        return ExitCode.INTERRUPTED
    os.execv(python, [python, "-P", "-m", "jobs.cli", *sys.argv[1:]])  # noqa: S606  (no shell is wanted)


if __name__ == "__main__":
    sys.exit(main())
