"""A primary of PostgreSQL and a standby that has every commit before it is answered, as processes of their own."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import bound_to_parent, start
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import some_free_ports
from jobs.local_stack.postgres_server import private_file
from jobs.setup import programs

PASSWORD = "only on this machine"  # noqa: S105
LOGIN = "viewledger"
_ENVIRON = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass
class PostgresServer:
    """One server; its cluster stays when it is killed."""

    port: int
    cluster: Path
    settings: Mapping[str, str]
    process: Any = field(default=None)

    def start(self) -> None:
        """Start it and wait until it answers; raise CommandError if it ends instead, NotInTimeError."""
        common = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "shared_buffers": "32MB"}
        settings = common | {"port": str(self.port)} | dict(self.settings)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(_programs() / "postgres"), "-D", str(self.cluster), *options]
        log = self.cluster.parent / f"{self.cluster.name}.log"
        self.process = start(command, environ=_ENVIRON, log=log, account=account_of("postgres"))
        answered = f"PostgreSQL answers on port {self.port}"
        until(lambda: self.ask("SELECT true") or self.process.poll() is not None, 60, answered)
        if self.process.poll() is not None:
            raise CommandError(f"PostgreSQL ended instead of answering: {log.read_text()[-800:]}", ExitCode.UNAVAILABLE)

    def kill(self) -> float:
        """Send SIGKILL to it and to every process of its sessions; return the instant."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
        return time.monotonic()

    def ask(self, query: str) -> Any:
        """Return the first value of an answer to the superuser; None while the server does not answer."""
        with suppress(psycopg2.OperationalError):
            url = url_of([self.port], user="postgres", database="postgres")
            with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(query)
                    return (cursor.fetchone() or (None,))[0] if cursor.description else None
        return None


@dataclass(frozen=True)
class PostgresPair:
    """A primary and its standby."""

    primary: PostgresServer
    standby: PostgresServer

    @property
    def url(self) -> str:
        """Return the URL that finds whichever of the two is the primary; the standby is asked first."""
        return url_of([self.standby.port, self.primary.port])

    def fail_over(self) -> float:
        """Kill the primary and make the standby the primary; return the instant of the kill."""
        killed = self.primary.kill()
        self.standby.ask("SELECT pg_promote()")
        return killed


@contextmanager
def postgres_pair(folder: Path, settings: Mapping[str, str] = {}) -> Iterator[PostgresPair]:
    """Start both with these settings and an empty database of `LOGIN`; end them."""
    primary_port, standby_port = some_free_ports(2)
    home = owned_folder(folder / "postgres", account_of("postgres"))
    primary = PostgresServer(primary_port, home / "primary", settings)
    standby = PostgresServer(standby_port, home / "standby", settings)
    try:
        initialise(primary.cluster)
        primary.start()
        # who drops a database ends the sessions of other logins with it
        rights = "LOGIN CREATEDB CREATEROLE IN ROLE pg_signal_backend"
        primary.ask(f"CREATE ROLE {LOGIN} {rights} PASSWORD '{PASSWORD}'")
        primary.ask(f"CREATE DATABASE {LOGIN} OWNER {LOGIN}")
        copy(primary, standby.cluster, "--write-recovery-conf")
        standby.start()
        until(lambda: primary.ask("SELECT count(*) FROM pg_stat_replication"), 30, "the standby follows")
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        until(lambda: primary.ask(synchronous), 30, "the standby has every commit")
        yield PostgresPair(primary, standby)
    finally:
        for each in (primary, standby):
            each.kill()


def url_of(ports: Sequence[int], *, user: str = LOGIN, database: str = LOGIN) -> str:
    """Return the URL of servers on these ports, of which the primary is wanted where there are several."""
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    wanted = "?target_session_attrs=primary" if len(ports) > 1 else ""
    return f"postgresql://{user}:{PASSWORD.replace(' ', '%20')}@{places}/{database}{wanted}"


def initialise(cluster: Path) -> None:
    """Make the files of an empty server, whose superuser has `PASSWORD`."""
    password = private_file(cluster.parent / "password", PASSWORD, account_of("postgres"))
    words = ["--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
    run_as_server("initdb", f"--pgdata={cluster}", *words)


def copy(primary: PostgresServer, cluster: Path, *more: str) -> None:
    """Make a base backup of a running server, with `more` options of `pg_basebackup`."""
    source = url_of([primary.port], user="postgres", database="")
    run_as_server("pg_basebackup", f"--pgdata={cluster}", f"--dbname={source}", "--no-sync", *more)


def run_as_server(program: str, *words: str) -> None:
    """Run a program of PostgreSQL's server, or a script that uses them, by the server's account.

    Raises:
        CommandError: it fails; with what it said.
    """
    folder = _programs()
    done = subprocess.run(
        [str(folder / program), *words],  # an absolute path stays as it is
        env={**_ENVIRON, "PATH": f"{folder}:{_ENVIRON['PATH']}"},
        cwd="/",
        capture_output=True,
        timeout=120,
        check=False,
        preexec_fn=bound_to_parent(9, account_of("postgres")),
    )
    if done.returncode:
        raise CommandError(f"{program} failed: {done.stderr.decode(errors='replace')}")


def _programs() -> Path:
    if (folder := programs.postgres_folder()) is None:
        raise CommandError("PostgreSQL is not installed; run ./viewledger doctor", ExitCode.SETUP_FAILED)
    return folder
