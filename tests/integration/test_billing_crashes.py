"""A run that is killed anywhere, or loses PostgreSQL during COMMIT, ends complete when it is run again."""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.errors import LedgerUnavailableError, SchemaMissingError
from billing.postgres_session import connector
from tests.billing_fakes import bill, line, run_of
from tests.billing_postgres import own_database

BILLS = [bill("ann", line("video-a", 1, 1333), line("video-b", 5, 777)), bill("bob", line("video-c", 3, 1001))]


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        yield own


def killed_before_statement(url: str, number: int) -> None:
    """Post, and die by SIGKILL right before the statement of that number (COMMIT counts as one)."""
    left = [number]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Counting(Cursor):
        def execute(self, *arguments: object) -> None:  # type: ignore[override]
            step()
            super().execute(*arguments)  # type: ignore[arg-type]

        def copy_expert(self, *arguments: object) -> None:  # type: ignore[override]
            step()
            super().copy_expert(*arguments)  # type: ignore[arg-type]

    class Connection(psycopg2.extensions.connection):
        def commit(self) -> None:
            step()
            super().commit()
            step()

    connect = lambda: psycopg2.connect(url, connection_factory=Connection, cursor_factory=Counting)  # noqa: E731
    post_bills(run_of(), BILLS, PostgresBooks(connect))


def test_a_run_killed_before_any_step_and_run_again_is_complete(url: str) -> None:
    ledger, killed = PostgresBooks(connector(url)), 0
    # A process of its own start: a fork would share this process's connections.
    processes = multiprocessing.get_context("spawn")
    for number in range(60):
        child = processes.Process(target=killed_before_statement, args=(url, number))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        killed += 1
        transactions = sum(totals.transaction_count for totals in ledger.totals())
        assert transactions in (0, len(BILLS)), f"killed before step {number}: half a group is there"
    assert killed >= 20, "begin, calculate, look at the whole, finalise; each with its lock, statements and commit"
    summary = post_bills(run_of(), BILLS, ledger)
    assert (summary.unchanged_count, summary.posted_count) == (len(BILLS), 0)
    (totals,) = ledger.totals()
    assert (totals.transaction_count, totals.difference_nanomicros) == (len(BILLS), 0)


class CuttingProxy:
    """Stands between client and PostgreSQL and cuts the connection of one COMMIT, before or after it is sent."""

    def __init__(self, server: tuple[str, int], *, number: int, deliver: bool) -> None:
        self._server, self._number, self._deliver, self.cuts = server, number, deliver, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=pump, args=(server, client.sendall, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        def send(chunk: bytes) -> None:
            if b"COMMIT" in chunk:
                self._number -= 1
            if b"COMMIT" in chunk and not self._number:
                self.cuts += 1
                client.shutdown(socket.SHUT_RDWR)
                if not self._deliver:
                    server.shutdown(socket.SHUT_RDWR)
                    return
            server.sendall(chunk)

        pump(client, send, server)

    def close(self) -> None:
        self._listener.close()


def pump(source: socket.socket, send: Callable[[bytes], None], other: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            send(chunk)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.mark.parametrize("deliver", [True, False], ids=["commit_arrived", "commit_lost"])
@pytest.mark.parametrize("number", [1, 2, 4], ids=["begin", "calculate", "finalise"])
def test_a_connection_lost_during_commit_is_resolved_by_looking_again(url: str, number: int, deliver: bool) -> None:
    parts = urlsplit(url)
    proxy = CuttingProxy((str(parts.hostname), int(parts.port or 5432)), number=number, deliver=deliver)
    through = url.replace(f":{parts.port}/", f":{proxy.port}/")
    summary = post_bills(run_of(), BILLS, PostgresBooks(connector(through), sleep=lambda _: None))
    proxy.close()
    assert proxy.cuts == 1
    was_done = deliver and number == 2
    assert (summary.new_count, summary.unchanged_count) == ((0, 2) if was_done else (2, 0))
    (totals,) = PostgresBooks(connector(url)).totals()
    assert (totals.transaction_count, totals.difference_nanomicros) == (len(BILLS), 0)


def test_a_server_that_is_away_is_one_sentence_without_the_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ledger = PostgresBooks(connector(f"postgresql://viewledger:secret@127.0.0.1:{port}/x"), sleep=lambda _: None)
    with pytest.raises(LedgerUnavailableError) as caught:
        post_bills(run_of(), BILLS, ledger)
    assert str(caught.value).startswith("PostgreSQL does not answer: ")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_without_the_tables_is_named(postgres_url: str, url: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA billing CASCADE")
    connection.close()
    with pytest.raises(SchemaMissingError):
        PostgresBooks(connector(url)).totals()


def test_a_server_without_the_roles_is_named(url: str) -> None:
    with pytest.raises(SchemaMissingError, match="does not have the roles"):
        PostgresBooks(connector(url, "viewledger_nobody_at_all")).totals()
