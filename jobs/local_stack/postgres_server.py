"""One PostgreSQL with a role and a database of the name `viewledger`."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from jobs.child.accounts import Account, account_of, owned_folder
from jobs.local_stack.probes import postgres_answers
from jobs.local_stack.profile import Profile, write_private
from jobs.local_stack.unit import Kind, Unit
from jobs.settings.declared.servers import POSTGRES_URL

PREPARE = """\
set -eu
"$1/initdb" --pgdata="$2" --username=postgres --pwfile="$4" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 \\
  --no-instructions
"$1/postgres" --single -D "$2" postgres < "$3"
"""


def postgres_units(profile: Profile, *, programs: Path, environ: Mapping[str, str]) -> tuple[Unit, ...]:
    """Return the task that creates the cluster, role and database once, and the server."""
    account = account_of("postgres")
    folder = owned_folder(profile.folder / "postgres", account)
    password = profile.secret("postgres_password")
    statements = private_file(
        profile.folder / "etc" / "postgres.sql",
        f"CREATE ROLE viewledger LOGIN CREATEDB CREATEROLE PASSWORD '{password}'\n"
        # DROP DATABASE … WITH (FORCE) ends autovacuum's workers, too, which have no owner.
        "GRANT pg_signal_backend TO viewledger\n"
        "CREATE DATABASE viewledger OWNER viewledger\n",
        account,
    )
    superuser = private_file(profile.folder / "etc" / "postgres.pw", profile.secret("postgres_superuser"), account)
    cluster = folder / "cluster"
    preparing = Unit(
        name="postgres-prepare",
        kind=Kind.TASK,
        command=("/bin/sh", "-c", PREPARE, "prepare", str(programs), str(cluster), str(statements), str(superuser)),
        environ=environ,
        account=account,
        done_marker=profile.folder / "prepared" / "postgres",
        fresh_folders=(folder,),
    )
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": profile.ports.postgres,
        "unix_socket_directories": "",  # TCP with a password only
        "max_connections": 100,
        "shared_buffers": "64MB",
        "fsync": "on",
        "logging_collector": "off",
        "log_min_messages": "warning",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    url = POSTGRES_URL.read(profile.environment())
    server = Unit(
        name="postgres",
        kind=Kind.SERVER,
        command=(str(programs / "postgres"), "-D", str(cluster), *options),
        environ=environ,
        after=(preparing.name,),
        probe=lambda: postgres_answers(url),
        account=account,
        port=profile.ports.postgres,
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
    )
    return preparing, server


def private_file(path: Path, text: str, account: Account | None) -> Path:
    """Write a file that only the server's account can read."""
    write_private(path, text)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path
