"""PostgreSQL's archived log: a server is lost after its base backup, and the ledger comes back to a named instant."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.postgres_session import connector
from faults.postgres_database import queries
from faults.postgres_servers import LOGIN, PASSWORD, PostgresServer, copy, initialise, run_as_server, url_of
from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.errors import CommandError
from jobs.local_stack.ports import some_free_ports
from jobs.local_stack.stack import temporary_folder
from jobs.settings.state_home import PROJECT
from tests.billing_fakes import bill, run_of
from tests.billing_postgres import own_database

SCRIPTS = PROJECT / "deploy" / "postgres" / "log"
NAMES = "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname = 'billing'"
LATER = "2099-01-01T00:00:00Z"


@dataclass
class Archived:
    """A server whose log is archived, and its base backup."""

    home: Path
    server: PostgresServer
    payees: list[str] = field(default_factory=list)

    @property
    def base(self) -> Path:
        return self.home / "base"

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    def back_up(self) -> None:
        copy(self.server, self.base, "--checkpoint=fast", "--wal-method=none")

    def post(self, url: str) -> None:
        """Post the bill of one more payee."""
        self.payees.append(f"payee-{len(self.payees)}")
        post_bills(run_of(), [bill(each) for each in self.payees], PostgresBooks(connector(url)))

    def archive_all(self) -> None:
        """Begin a new piece of the log, and wait until everything before it is archived."""
        piece = self.server.ask("SELECT pg_walfile_name(pg_switch_wal())")
        until(lambda: (self.archive / str(piece)).exists(), 30, f"{piece} is archived")

    def restored(self, data: Path, *instant: str) -> PostgresServer:
        """Prepare a folder as an administrator does, and return the server on it, which is not started."""
        run_as_server(str(self.home / "restore.sh"), str(self.base), str(self.archive), str(data), *instant)
        return PostgresServer(some_free_ports(1)[0], data, {"archive_mode": "off"})


def books(url: str) -> dict[str, str]:
    """Every table of the books, with a hash of all its rows."""
    tables = [name for (name,) in queries(url, NAMES)]
    content = "SELECT coalesce(md5(string_agg(row::text, ';' ORDER BY row::text)), '') FROM {} AS row"
    return {name: str(queries(url, content.format(name))[0][0]) for name in tables}


def on(server: PostgresServer, url: str) -> str:
    """Return a URL with the port of another server."""
    before, _, after = url.rpartition("127.0.0.1:")
    return f"{before}127.0.0.1:{server.port}/{after.partition('/')[2]}"


@pytest.fixture
def archived() -> Iterator[Archived]:
    with temporary_folder() as folder:
        account = account_of("postgres")
        home = owned_folder(folder / "postgres", account)
        archive = owned_folder(home / "archive", account)
        for name in ("archive.sh", "restore.sh"):  # the project's own folder may be closed to the server's account
            shutil.copy(SCRIPTS / name, home / name)
            (home / name).chmod(0o755)
        command = f"{home}/archive.sh %p %f {archive}"
        settings = {"wal_level": "replica", "archive_mode": "on", "archive_command": command}
        server = PostgresServer(some_free_ports(1)[0], home / "lost", settings)
        try:
            initialise(server.cluster)
            server.start()
            yield Archived(home, server)
        finally:
            server.kill()


@pytest.fixture
def url(archived: Archived) -> Iterator[str]:
    """A database with the project's schema on it; it is gone when it would be dropped."""
    archived.server.ask(f"CREATE ROLE {LOGIN} LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}'")
    archived.server.ask(f"CREATE DATABASE {LOGIN} OWNER {LOGIN}")
    with suppress(psycopg2.OperationalError), own_database(url_of([archived.server.port])) as made:
        yield made


def test_the_ledger_comes_back_to_an_instant_or_to_the_last_archived_piece(archived: Archived, url: str) -> None:
    archived.post(url)
    archived.back_up()
    archived.post(url)
    at_instant = books(url)
    now = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    instant = str(archived.server.ask(f"SELECT {now}"))
    archived.post(url)
    archived.archive_all()
    archived_at, at_last_piece = time.monotonic(), books(url)
    archived.post(url)
    at_end = books(url)
    lost_seconds = archived.server.kill() - archived_at
    shutil.rmtree(archived.server.cluster)
    assert len({str(each) for each in (at_instant, at_last_piece, at_end)}) == 3
    for words, expected in (((instant,), at_instant), ((), at_last_piece)):
        again = archived.restored(archived.home / f"back-{len(words)}", *words)
        started = time.monotonic()
        try:
            again.start()
            until(lambda: again.ask("SELECT NOT pg_is_in_recovery()"), 60, "it takes writes")  # noqa: B023
            print(f"back after {time.monotonic() - started:.1f} s; lost: the {lost_seconds:.1f} s since the last piece")
            found = PostgresBooks(connector(on(again, url)))
            assert books(on(again, url)) == expected
            assert found.problems() == []
            assert sum(each.difference_nanomicros for each in found.totals()) == 0
            # the books go on from there
            payees = archived.payees[: 2 if words else 3]
            summary = post_bills(run_of(), [bill(each) for each in [*payees, "new"]], found)
            assert (summary.new_count, summary.unchanged_count) == (1, len(payees))
        finally:
            again.kill()


def test_what_cannot_be_restored_is_one_sentence(archived: Archived) -> None:
    archived.back_up()
    archived.archive_all()
    script, data = str(archived.home / "restore.sh"), archived.home / "back"
    for arguments, words in (
        ((archived.home, archived.archive, data), "is not a base backup"),
        ((archived.base, archived.home / "none", data), "is not the folder of an archive"),
        ((archived.base, archived.archive, archived.server.cluster), "is not empty; keep what is left of the lost"),
        ((archived.base, archived.archive, data, "yesterday"), "'yesterday' is not an instant in UTC like"),
    ):
        with pytest.raises(CommandError, match=words):
            run_as_server(script, *map(str, arguments))
        assert not data.exists()
    with pytest.raises(CommandError, match="recovery ended before configured recovery target was reached"):
        archived.restored(data, LATER).start()
    (archived.base / "PG_VERSION").write_text("14\n")
    with pytest.raises(CommandError, match="is not as it was made"):
        run_as_server(script, str(archived.base), str(archived.archive), str(archived.home / "other"))
