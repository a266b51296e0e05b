"""A database from before logins were stamped: what is in it stays as it is, and is approved by names as before."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.statements import statement_id_of
from billing.books.states import Move
from billing.errors import StateError
from billing.postgres_session import connector
from billing.proof.ed25519_keys import create_key
from faults.postgres_database import administer, queries
from jobs.wiring.migrations import migrate
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, run_of
from tests.billing_postgres import empty_database, in_database, own_database
from tests.books_of_last_release import LAST_RELEASE, copy_books, migrate_to_last_release
from tests.checkpoint_books import TODAY, Books
from tests.postgres_people import second_person

ANN = statement_id_of(NOVEMBER, "ann", 0)
KEY = (
    "INSERT INTO access.api_keys (key_id, owner, secret_sha256, scopes, expires_at) "
    "VALUES (repeat('a', 16), 'nightly', repeat('b', 64), ARRAY['views:read'], now() + interval '1 day')"
)


@pytest.fixture
def books(postgres_url: str, superuser_url: str, tmp_path: Path) -> Iterator[Books]:
    """Books that the release before made: October is posted and signed, November waits for somebody."""
    with own_database(postgres_url) as today, empty_database(postgres_url) as url:
        ledger = PostgresBooks(connector(today))
        post_bills(run_of(OCTOBER), [bill("ann"), bill("bob")], ledger)
        post_bills(run_of(NOVEMBER, approval_limit_micros=-1), [in_period(bill("ann"), NOVEMBER)], ledger)
        migrate_to_last_release(url, tmp_path / "postgres")
        found = Books(url, in_database(f"{superuser_url}/postgres", url), create_key(tmp_path / "books.key"))
        copy_books(today, found.superuser_url)
        administer(url, KEY)
        found.checkpoint(TODAY - timedelta(days=1))
        yield found


def test_nothing_is_lost_changed_or_given_a_login_and_names_keep_two_people_apart(books: Books) -> None:
    tables = ("runs", "statements", "payment_audit", "transactions", "entries", "catalogue_versions")
    rows = [*tables, "transitions WHERE subject_kind = 'statement'"]  # terms get a step: they are in force
    before = {each: queries(books.url, f"SELECT count(*) FROM billing.{each}") for each in rows}
    applied = migrate(books.url)
    assert applied
    assert applied[0] > LAST_RELEASE
    assert {each: queries(books.url, f"SELECT count(*) FROM billing.{each}") for each in rows} == before
    assert books.problems() == [], "what was signed before is as it was signed"
    for table in ("runs", "statements", "transactions", "catalogue_versions", "rate_cards"):
        assert queries(books.url, f"SELECT DISTINCT login FROM billing.{table}") == [(None,)]
    states = PostgresStates(connector(second_person(books.url), "viewledger_approver"))
    with pytest.raises(StateError, match="was made by eve; someone else must approve it"):
        states.move("statement", ANN, Move("approved", "eve"))
    states.move("statement", ANN, Move("approved", "max"))
    run_id = run_of(NOVEMBER, approval_limit_micros=-1).run_id
    assert finalise_run(run_id, PostgresBooks(connector(books.url, "viewledger_billing"))).statement_count == 1
    books.checkpoint(TODAY)
    assert books.problems() == []


def test_keys_of_before_are_in_the_journal_from_now_on(books: Books) -> None:
    migrate(books.url)
    assert queries(books.url, "SELECT key FROM billing.journal WHERE kind = 'api_key'") == [("a" * 16,)]
    books.checkpoint(TODAY)
    books.tamper("UPDATE access.api_keys SET scopes = ARRAY['statements:read']")
    assert any("was changed" in problem for problem in books.problems())
