"""Checks of this machine: programs, packages, disk, ports."""

import platform
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from kafka import codec
from kafka.record import util

from jobs.checkup.checks import CheckRow, bad, ok, warn
from jobs.errors import CommandError
from jobs.local_stack.ports import fixed_ports, is_free
from jobs.settings.declared.machine import PORT_BASE
from jobs.setup import programs

SET_UP = "run any ./viewledger command: it sets up what is missing"
JAR_NAMED = {"kafka": "kafka_2.13-*.jar", "hadoop": "hadoop-hdfs-3*.jar", "spark": "iceberg-spark-runtime-*.jar"}
LISTENS = re.compile(r"(?:127\.0\.0\.1:|^)(\d{4,5})(?:/\w*)?$")
"""Forms of a port in the stack's settings: `127.0.0.1:17080`, `redis://127.0.0.1:17082/0`, `17070`."""
FREE_GIB_WARN, FREE_GIB_BAD = 5.0, 1.0


def machine_rows(home: Path, environ: Mapping[str, str], *, running: Mapping[str, str], stack: str) -> list[CheckRow]:
    """Return every check that needs no server.

    `running`: the settings of the running stack, empty without one. `stack`: its name.
    """
    return [
        python_row(),
        crc32c_row(),
        codecs_row(),
        program_row("java", programs.java(), "-version", "install openjdk-17-jre-headless, or set JAVA_HOME"),
        program_row("redis", programs.redis_server(), "--version", "install redis-server"),
        postgres_row(),
        *(jars_row(home, profile) for profile in JAR_NAMED),
        disk_row(home),
        *ports_rows(environ, running=running, stack=stack),
    ]


def python_row() -> CheckRow:
    """Return the running Python; the launcher refuses one that is too old."""
    return ok("python", f"{platform.python_version()} ({sys.executable})")


def crc32c_row() -> CheckRow:
    """Check that kafka-python finds the C package; without it checksums cost about 20 times as much."""
    if util.crc32c_c is None:
        return bad("crc32c", "kafka-python uses its own slow code", "install the package crc32c")
    return ok("crc32c", "kafka-python uses the C package")


def codecs_row() -> CheckRow:
    """Check that every codec of producers can be read; Spark brings its own."""
    there = {"gzip": codec.has_gzip(), "snappy": codec.has_snappy(), "lz4": codec.has_lz4(), "zstd": codec.has_zstd()}
    missing = [name for name, is_there in there.items() if not is_there]
    if missing:
        remedy = "install what requirements.lock names: python-snappy, lz4, zstandard"
        return bad("codecs", f"batches in {', '.join(missing)} cannot be read and stop counting", remedy)
    return ok("codecs", f"{', '.join(there)} can be read")


def program_row(subject: str, program: str | None, flag: str, remedy: str) -> CheckRow:
    """Check that a program exists, and its version."""
    if program is None:
        return bad(subject, "not found in a usable version", remedy)
    lines = programs.first_output(program, flag).splitlines()
    return ok(subject, lines[0] if lines else program)


def postgres_row() -> CheckRow:
    """Check the PostgreSQL programs."""
    folder = programs.postgres_folder()
    return program_row("postgres", str(folder / "postgres") if folder else None, "--version", "install postgresql")


def jars_row(home: Path, profile: str) -> CheckRow:
    """Check that the Java parts of a class path exist."""
    found = sorted((home / "jars" / profile).glob(JAR_NAMED[profile]))
    if not found:
        return bad(f"jars {profile}", f"none in {home / 'jars' / profile}", SET_UP)
    return ok(f"jars {profile}", found[0].stem)


def disk_row(home: Path) -> CheckRow:
    """Check the free space of the folder that holds everything."""
    free = shutil.disk_usage(home if home.exists() else home.parent).free / 2**30
    text = f"{free:.1f} GiB free in {home}"
    remedy = "free some, or set VIEWLEDGER_HOME to a folder on another disk"
    if free < FREE_GIB_BAD:
        return bad("disk", text, remedy)
    return warn("disk", text, remedy) if free < FREE_GIB_WARN else ok("disk", text)


def ports_rows(environ: Mapping[str, str], *, running: Mapping[str, str], stack: str = "local") -> list[CheckRow]:
    """Check the ports: the running stack's, or if none runs, whether `up` could listen on its own."""
    if running:
        known = {int(found[1]) for value in running.values() if (found := LISTENS.search(value))}
        return [ok("ports", f"the running stack {stack} has {', '.join(map(str, sorted(known)))}")]
    try:
        ports = fixed_ports(environ).by_name()
    except CommandError as error:
        return [bad("ports", str(error), f"set {PORT_BASE.name} right, or unset it")]
    taken = [f"{port} ({part})" for part, port in ports.items() if not is_free(port)]
    if taken:
        return [bad("ports", f"taken by another program: {', '.join(taken)}", f"stop it, or set {PORT_BASE.name}")]
    return [ok("ports", f"{min(ports.values())}–{max(ports.values())} are free")]
