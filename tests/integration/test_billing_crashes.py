"""A run that is killed anywhere, or loses PostgreSQL during COMMIT, ends complete when it is run again."""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.errors import SchemaMissingError
from billing.postgres_session import connector
from ingestion.contract.unavailable import UnavailableError
from jobs.local_stack.stack import LocalStack, temporary_folder
from tests.billing_fakes import bill, line, run_of
from tests.billing_postgres import own_database
from tests.cutting_proxy import AT, At, cutting_proxy

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
    # Forks of a process that has no connections: one of this process would share ours.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["pytest", "tests.billing_fakes", "tests.billing_postgres", "tests.cutting_proxy"])
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


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("number", [1, 2, 4], ids=["begin", "calculate", "finalise"])
def test_a_connection_lost_during_commit_is_resolved_by_looking_again(url: str, number: int, at: At) -> None:
    with cutting_proxy(url, number=number, at=at) as proxy:
        summary = post_bills(run_of(), BILLS, PostgresBooks(connector(proxy.url), sleep=lambda _: None))
    assert proxy.cuts == 1
    was_done = at != "withheld" and number == 2
    assert (summary.new_count, summary.unchanged_count) == ((0, 2) if was_done else (2, 0))
    assert_posted_once(url)


@pytest.fixture(scope="module")
def mortal() -> Iterator[LocalStack]:
    """A PostgreSQL of its own, which may be killed."""
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("postgres",)) as running:
        yield running


@pytest.mark.parametrize("at", AT)
def test_postgres_killed_during_the_commit_of_a_posting_is_resolved_by_its_key(mortal: LocalStack, at: At) -> None:
    killed: list[int] = []
    is_killed = threading.Event()

    def kill() -> None:
        server = Path(f"/proc/{mortal.pid('postgres')}")
        backends = (server / "task" / server.name / "children").read_text().split()
        killed.append(mortal.kill("postgres"))
        for backend in map(int, backends):  # not one of them may finish what it was doing
            with suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
        is_killed.set()

    def until_it_is_back(_seconds: float) -> None:
        assert is_killed.wait(60)
        mortal.wait_ready("postgres", not_pid=killed[0])

    with own_database(mortal.environment["VIEWLEDGER_POSTGRES_URL"]) as url:
        with cutting_proxy(url, number=4, at=at, hurt=kill) as proxy:
            post_bills(run_of(), BILLS, PostgresBooks(connector(proxy.url), sleep=until_it_is_back))
        assert (proxy.cuts, len(killed)) == (1, 1)
        assert_posted_once(url)
        again = post_bills(run_of(), BILLS, PostgresBooks(connector(url)))
        assert (again.new_count, again.unchanged_count, again.posted_count) == (0, len(BILLS), 0)
        assert_posted_once(url)


def assert_posted_once(url: str) -> None:
    """Every bill is posted by one transaction, nothing is missing, and all accounts sum to zero."""
    books = PostgresBooks(connector(url))
    (totals,) = books.totals()
    assert (totals.transaction_count, totals.difference_nanomicros) == (len(BILLS), 0)
    ever = datetime(9999, 1, 1, tzinfo=UTC)
    balances = books.balances(posted_before=ever, effective_until=ever)
    assert sum(each.balance_micros for each in balances) == 0
    assert any(each.balance_micros for each in balances)


def test_a_server_that_is_away_is_one_sentence_without_the_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ledger = PostgresBooks(connector(f"postgresql://viewledger:secret@127.0.0.1:{port}/x"), sleep=lambda _: None)
    with pytest.raises(UnavailableError) as caught:
        post_bills(run_of(), BILLS, ledger)
    assert str(caught.value).startswith("PostgreSQL does not answer (")
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
