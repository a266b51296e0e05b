"""Find the third-party programs that the local stack starts. Standard library only."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from jobs.settings.declared.machine import JAVA_HOME
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import state_home

JAVA_OLDEST, JAVA_NEWEST = 17, 23
"""Kafka 4 and Spark 4 need 17; from 24 on Java has no security manager, which Hadoop 3.4 still calls."""


def java() -> str | None:
    """Return a Java whose version the servers support: JAVA_HOME's, the one on PATH, then Debian's others."""
    candidates = [home / "bin" / "java"] if (home := JAVA_HOME.read_if_set(own_environment())) else []
    candidates += [Path(found)] if (found := shutil.which("java")) else []
    candidates += sorted(Path("/usr/lib/jvm").glob("java-*/bin/java"))
    for candidate in candidates:
        if JAVA_OLDEST <= (java_version(str(candidate)) or 0) <= JAVA_NEWEST:
            return str(candidate)
    return None


def with_java_home(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with a JAVA_HOME that Spark supports."""
    program = java()
    home = {JAVA_HOME.name: str(Path(program).resolve().parent.parent)} if program else {}
    return dict(environ) | home


def java_version(program: str) -> int | None:
    """Return the major version of a `java` program; None if it does not run."""
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', java_release(program))
    return int(found.group(1)) if found else None


def java_release(program: str) -> str:
    """Return what identifies the build of a `java` program: its release file, or what it prints of its version."""
    release = Path(program).resolve().parent.parent / "release"
    return release.read_text() if release.is_file() else first_output(program, "-version")


def redis_server() -> str | None:
    """Return the Redis server on PATH or where Debian puts it."""
    return shutil.which("redis-server", path=_path_and("/usr/bin", "/usr/local/bin"))


def postgres_folder() -> Path | None:
    """Return the folder with `initdb` and `postgres` of the newest installed PostgreSQL (Debian keeps it off PATH)."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: float(re.sub(r"[^\d.]", "", folder.parent.name) or 0),
    )
    if (found := shutil.which("initdb")) is not None:
        folders.insert(0, Path(found).resolve().parent)
    usable = [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]
    return usable[-1] if usable else None


def maven() -> str | None:
    """Return the Maven program; needed only while the jars are missing."""
    return shutil.which("mvn")


def chromium() -> str | None:
    """Return the browser that tests of pages drive."""
    return shutil.which("chromium")


def promtool() -> str | None:
    """Return the checker of alerting rules."""
    return _extracted("promtool")


OBSERVERS = ("prometheus", "alertmanager", "node_exporter", "redis_exporter", "postgres_exporter")
"""What observes a local stack. Each name is that of a program and of its port."""


def observer(name: str) -> str | None:
    """Return the program of an observer of the local stack: `redis_exporter`, or what Debian calls it."""
    return _extracted(name) or _extracted(debian_name(name))


def debian_name(name: str) -> str:
    """Return Debian's name of an observer, which its package and its program have."""
    return name if name == "prometheus" else f"prometheus-{name.replace('_', '-')}"


def _extracted(name: str) -> str | None:
    """Return a program on PATH, or the one that set-up extracted from its package."""
    return shutil.which(name, path=_path_and(str(state_home() / "tools" / "usr" / "bin")))


def pgbouncer() -> str | None:
    """Return the pooler of PostgreSQL: the one on PATH, or the one that `test` extracted from its package."""
    return shutil.which("pgbouncer", path=_path_and(str(state_home() / "tools" / "usr" / "sbin")))


def _path_and(*folders: str) -> str:
    return os.pathsep.join([*os.get_exec_path(), *folders])


def first_output(program: str, *arguments: str) -> str:
    """Return the output of a program's version flag, on either stream; empty if it does not run in 20 s."""
    try:
        answer = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr
