"""The plan of a stack: its units, their order and their settings."""

import os
import sys
from collections.abc import Mapping, Sequence

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.hdfs_nodes import hdfs_units
from jobs.local_stack.http_probe import http_is_ready
from jobs.local_stack.kafka_broker import kafka_units
from jobs.local_stack.observers import observer_units
from jobs.local_stack.postgres_server import postgres_units
from jobs.local_stack.profile import Profile
from jobs.local_stack.redis_server import redis_units
from jobs.local_stack.unit import Kind, Unit
from jobs.settings import layered, login_setting
from jobs.settings.declared.servers import POSTGRES_URL
from jobs.settings.kinds import IN_A_FILE
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import PROJECT, state_home
from jobs.setup import programs

SERVERS = ("kafka", "redis", "postgres", "hdfs")
PROCESSES = ("collector", "speed", "api")
OPTIONAL_PROCESSES = ("batch", "sql")
"""Started only on request: a Spark of its own takes ten seconds and a gigabyte."""


def plan(
    profile: Profile, *, servers: Sequence[str], processes: Sequence[str], is_observed: bool = False
) -> tuple[Unit, ...]:
    """Return every unit of the stack. Raises CommandError if a name is unknown or a program is not installed."""
    units: list[Unit] = []
    for server in servers:
        units += server_units(profile, server)
    environ = our_environment(profile)
    if "kafka" in servers:
        units.append(command_task("topics", ("topics", "create"), after=("kafka",), environ=environ))
    if "postgres" in servers:
        units.append(command_task("migrate", ("migrate", "--logins"), after=("postgres",), environ=environ))
    everything = tuple(unit.name for unit in units)
    units += [process_unit(profile, name, after=everything, environ=environ) for name in processes]
    if is_observed:
        units += observer_units(profile, processes=processes, after=everything, environ=_environment_of_servers())
    return tuple(units)


def server_units(profile: Profile, server: str) -> tuple[Unit, ...]:
    """Return the units of one server by its name in SERVERS."""
    environ = _environment_of_servers()
    jars = state_home() / "jars"
    if server == "redis" and (program := programs.redis_server()):
        return redis_units(profile, program=program, environ=environ)
    if server == "postgres" and (folder := programs.postgres_folder()):
        return postgres_units(profile, programs=folder, environ=environ)
    if server in ("kafka", "hdfs") and (java := programs.java()):
        if server == "kafka":
            return kafka_units(profile, java=java, jars=jars / "kafka", environ=environ)
        return hdfs_units(profile, java=java, jars=jars / "hadoop", environ=environ)
    if server not in SERVERS:
        raise CommandError(f"unknown server {server!r}; known are {', '.join(SERVERS)}", ExitCode.BAD_INPUT)
    raise CommandError(f"the program for {server} is not installed; run ./viewledger doctor", ExitCode.SETUP_FAILED)


def _environment_of_servers() -> dict[str, str]:
    return {"PATH": os.pathsep.join(os.get_exec_path()), "LANG": "C.UTF-8", "HOME": "/nonexistent"}


def our_environment(profile: Profile) -> dict[str, str]:
    """Return the environment of our own processes: the starting user's, with this stack's settings over it."""
    environ = layered(programs.with_java_home(own_environment()), profile.environment())
    return environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}


def command_task(name: str, words: tuple[str, ...], *, after: tuple[str, ...], environ: Mapping[str, str]) -> Unit:
    """Return one of our commands, run once."""
    return Unit(name=name, kind=Kind.TASK, command=our_command(*words), environ=environ, after=after)


def process_unit(profile: Profile, name: str, *, after: tuple[str, ...], environ: Mapping[str, str]) -> Unit:
    """Return one of our own processes, ready when GET /readyz answers 200 on its port."""
    ports = {
        "collector": profile.ports.collector,
        "speed": profile.ports.speed_metrics,
        "api": profile.ports.api,
        "batch": profile.ports.batch_metrics,
        "sql": profile.ports.iceberg,
    }
    if name not in ports:
        known = ", ".join((*PROCESSES, *OPTIONAL_PROCESSES))
        raise CommandError(f"unknown process {name!r}; known are {known}", ExitCode.BAD_INPUT)
    port = ports[name]
    return Unit(
        name=name,
        kind=Kind.PROCESS,
        command=our_command("run", name),
        environ=_with_own_login(environ, name),
        after=after,
        probe=lambda: http_is_ready(port),
        port=port,
    )


def _with_own_login(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the settings of a process: of PostgreSQL's logins only its own, or else the one with every role."""
    own = login_setting(name.upper())
    own = own if own in environ else POSTGRES_URL.name
    return {
        each: value
        for each, value in environ.items()
        if each == own or not each.removesuffix(IN_A_FILE).endswith("POSTGRES_URL")
    }


def our_command(*words: str) -> tuple[str, ...]:
    """Return a viewledger command under this Python; -P keeps the current folder out of the import path."""
    return (sys.executable, "-P", "-m", "jobs.cli", *words)
