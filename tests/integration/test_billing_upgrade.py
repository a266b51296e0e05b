"""Books that the last release wrote: they migrate, their statements stay valid, and their versions are known."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from billing.books.book_ports import RestsOn
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.statements import statement_id_of
from billing.books.states import Move
from billing.postgres_session import connector
from jobs.wiring.migrations import migrate
from tests.billing_fakes import OCTOBER, bill, line, run_of
from tests.billing_postgres import PREREQUISITES, empty_database
from tests.books_of_last_release import migrate_to_last_release
from tests.integration.test_billing_database_refuses import RUN_ID, audit, entries, header, statement, step
from tests.postgres_people import second_person

BOB = statement_id_of(OCTOBER, "bob", 0)
OLD_RUN = (
    "INSERT INTO billing.runs (run_id, period_start_on, period_end_on, currency, batch_version, catalogue_version, "
    "contract_version, calculated_at, waived, unattributed_views, actor, approval_limit_micros) VALUES "
    f"('{RUN_ID}', '2026-10-01', '2026-11-01', 'USD', 3, 1, 1, now(), '{{\"unattributed\": \"Eve\"}}', 5, 'eve', 100)"
)


@pytest.fixture
def url(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """October billed for bob by the last release, with views that were waived; then the migrations since."""
    with empty_database(postgres_url) as database:
        migrate_to_last_release(database, tmp_path / "migrations")
        states = ["open", "calculated", "approved", "finalised"]
        steps = [
            step(index, before, after, of=BOB, actor="run")
            for index, (before, after) in enumerate(itertools.pairwise(states))
        ]
        posted = header()
        connection = psycopg2.connect(database)
        with connection, connection.cursor() as cursor:
            cursor.execute(PREREQUISITES)
            for each in (OLD_RUN, statement(), audit(5, 5), *steps, posted, *entries(5, -5)):
                cursor.execute(each)
        connection.close()
        migrate(database)
        yield database


def test_what_was_billed_stays_and_is_corrected_by_the_versions_it_rested_on(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    assert books.rests_on(OCTOBER) == RestsOn(3, 1, 1, "USD")
    assert (books.beyond_whole(), books.is_unfinished(OCTOBER)) == ([], False)
    assert [each.difference_nanomicros for each in books.totals()] == [0]
    again = post_bills(run_of(), [bill("bob", line("v", views=5, rate=1000))], books)
    assert (again.changed_count, again.posted_count) == (1, 0), "what is posted is left as it is"
    restated = run_of(restatement_number=1, cause="a late view", batch_version=4, approval_limit_micros=-1)
    post_bills(restated, [bill("bob", line("v", views=6, rate=1000))], books)
    found = PostgresStatements(connector(url, "viewledger_billing")).statement("bob", OCTOBER)
    assert found is not None
    assert found.statement.causes == {"events": 1}
    states = PostgresStates(connector(second_person(url), "viewledger_approver"))
    states.move("statement", found.statement.statement_id, Move("approved", "max"))
    assert finalise_run(restated.run_id, books).statement_count == 1
    assert [each.lines_micros for each in books.totals()] == [6]
