"""PgBouncer before PostgreSQL, in transaction pooling, with the settings that its package has."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from faults.waiting import until
from ingestion.contract.postgres_address import PostgresAddress
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import start
from jobs.local_stack.ports import is_open, some_free_ports
from jobs.local_stack.postgres_server import private_file
from jobs.local_stack.stack import temporary_folder
from jobs.setup import programs

SESSIONS = 2
"""How many of PostgreSQL's sessions all clients of a login share."""


@contextmanager
def pooler(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start a pooler for the logins in these settings, each a URL of one server; yield their URLs through it."""
    addresses = {name: PostgresAddress.of(url) for name, url in environ.items()}
    (server,) = {each.servers for each in addresses.values()}
    host, _, server_port = server[0].rpartition(":")
    account = account_of("postgres")
    with temporary_folder() as folder:
        (port,) = some_free_ports(1)
        home = owned_folder(folder / "pooler", account)
        logins = {(each.user, each.password) for each in addresses.values()}
        users = "".join(f'"{user}" "{password}"\n' for user, password in logins)
        config = private_file(
            home / "pgbouncer.ini",
            f"[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
            f"auth_file = {private_file(home / 'users.txt', users, account)}\npool_mode = transaction\n"
            f"default_pool_size = {SESSIONS}\n",
            account,
        )
        program = programs.pgbouncer()
        assert program is not None
        started = start([program, str(config)], environ={"PATH": "/usr/bin:/bin"}, log=folder / "log", account=account)
        try:
            until(lambda: is_open(port), 30, f"the pooler listens on port {port}")
            yield {name: each.at("127.0.0.1", port).url for name, each in addresses.items()}
        finally:
            started.kill()
            started.wait()
