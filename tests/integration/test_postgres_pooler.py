"""A pooler that gives PostgreSQL's sessions to other clients after each transaction, and drops startup options."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import psycopg2
import pytest

from batch_layer.errors import PooledError
from batch_layer.lake.postgres_rows import read_rows
from batch_layer.published.postgres_published_snapshots import PostgresPublishedSnapshots
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.postgres_session import connector, one_transaction
from billing.terms.catalogue import Catalogue, Payee
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.setup import programs
from serving_layer.access.postgres_reads import API_ROLE, PostgresReads
from serving_layer.counts.merge import SettledCount
from serving_layer.counts.postgres_versions import PostgresVersions
from serving_layer.portal.postgres_ended_sessions import PostgresEndedSessions
from speed_layer.postgres_published_offsets import PostgresPublishedOffsets
from tests.billing_postgres import own_database
from tests.postgres_pooler import SESSIONS, pooler
from tests.serving_fakes import SETTLED_UNTIL
from tests.serving_postgres import publish

pytestmark = pytest.mark.skipif(programs.pgbouncer() is None, reason="needs PgBouncer")
ROLES = ("viewledger_billing", "viewledger_approver", "viewledger_auditor", None)


@dataclass(frozen=True)
class Ways:
    """Two ways to one database: to the server itself, and through the pooler."""

    direct: str
    pooled: str


@pytest.fixture
def ways(postgres_url: str) -> Iterator[Ways]:
    with own_database(postgres_url, with_versions=False) as url, pooler({"url": url}) as pooled:
        yield Ways(url, pooled["url"])


def test_the_api_reads_in_its_own_role_and_cannot_write(ways: Ways) -> None:
    publish(ways.direct, {"-video": (9, 7)})
    what = "SELECT current_user::text, current_setting('transaction_read_only'), current_setting('statement_timeout')"
    with closing(PostgresReads(ways.pooled)) as reads:
        assert reads.query(what, ()) == [(API_ROLE, "on", "2s")]
        assert reads.query("SELECT count(*) FROM pg_stat_activity WHERE usename = session_user", ())
    with closing(PostgresVersions(ways.pooled)) as versions:
        current = versions.current()
        assert current is not None
        assert versions.counts(["-video"], current.version) == {"-video": SettledCount(9, 7)}
    with closing(PostgresEndedSessions(ways.pooled)) as sessions:
        sessions.end("a" * 64, SETTLED_UNTIL)
        assert sessions.was_ended("a" * 64)


def test_everything_else_that_reads_does_so_through_the_pooler(ways: Ways) -> None:
    publish(ways.direct, {"-video": (9, 7)})
    found = PostgresPublishedOffsets(ways.pooled, "video-views").current()
    assert found is not None
    assert set(found.offsets.ends) == {100}
    assert PostgresPublishedSnapshots(ways.pooled).current() == 1
    assert read_rows(ways.pooled, "SELECT current_setting('statement_timeout')") == [("10min",)]
    store = PostgresCatalogueStore(connector(ways.pooled))
    store.import_catalogue(Catalogue((Payee("ann", "Ann"),), (), ()), "test")
    assert store.catalogue(1).payees == (Payee("ann", "Ann"),)


def test_no_transaction_has_the_role_of_another_in_the_sessions_that_all_share(ways: Ways) -> None:
    login = read_rows(ways.direct, "SELECT session_user::text")[0][0]
    what = "SELECT current_user::text, current_setting('lock_timeout'), pg_backend_pid()"

    def one(seed: int) -> tuple[str | None, str, int]:
        role = random.Random(seed).choice(ROLES)
        with one_transaction(connector(ways.pooled, role)) as cursor:
            cursor.execute(what)
            ((found, lock, session),) = cursor.fetchall()
        assert (found, lock) == (role or login, "10min")
        return role, found, session

    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(one, range(200)))
    assert {role for role, _, _ in seen} == set(ROLES)
    assert len({session for _, _, session in seen}) <= SESSIONS
    with closing(psycopg2.connect(ways.pooled)) as after, after, after.cursor() as cursor:
        cursor.execute("SELECT current_user::text, current_setting('lock_timeout')")
        assert cursor.fetchall() == [(login, "0")], "nothing stays in a session"


def test_no_run_takes_the_pooler_for_the_one_lock(ways: Ways) -> None:
    with closing(PostgresVersionStore(ways.pooled)) as one, pytest.raises(PooledError, match="leads to a pooler"):
        one.lock()
    with closing(PostgresVersionStore(ways.pooled)) as one, pytest.raises(PooledError):
        one.lock_files()
    with closing(PostgresVersionStore(ways.direct)) as one, closing(PostgresVersionStore(ways.direct)) as another:
        assert (one.lock(), another.lock()) == (True, False)


def test_migrations_want_the_server_itself(
    ways: Ways, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", ways.pooled)
    assert main(["migrate"]) == ExitCode.REFUSED
    shown = capsys.readouterr().err
    assert "VIEWLEDGER_POSTGRES_URL leads to a pooler, which cannot hold the lock of migrations" in shown
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", ways.direct)
    assert main(["migrate"]) == ExitCode.OK
