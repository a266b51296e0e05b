"""Nobody ends a series of numbers by taking the last one there is, tried as logins of their own."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.postgres_session import connector
from billing.terms.catalogue import Catalogue
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from tests.billing_fakes import OCTOBER, bill, run_of
from tests.billing_postgres import own_database
from tests.postgres_people import person

LAST, LAST_INTEGER = 2**63 - 1, 2**31 - 1
STATEMENTS = {
    "catalogue_version": "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) "
    "VALUES ({}, 'x', 'x')",
    "contract_version": "INSERT INTO billing.rate_cards (contract_version, content_hash, document) "
    "VALUES ({}, 'x', '{{}}')",
    "sequence": "INSERT INTO billing.checkpoints (sequence, body, signature) VALUES ({}, 'x', repeat('0', 128))",
    "account_version": "INSERT INTO billing.bank_accounts (payee_id, account_version, holder_name, iban, actor) "
    "VALUES ('ann', {}, 'Ann', 'DE89370400440532013000', 'eve')",
    "restatement_number": "INSERT INTO billing.runs (run_id, kind, period_start_on, period_end_on, currency, "
    "restatement_number, cause, batch_version, catalogue_version, contract_version, actor, approval_limit_micros, "
    "calculated_at) VALUES ('x', 'restatement', '2026-10-01', '2026-11-01', 'USD', {}, 'x', 3, 1, 1, 'eve', 0, now())",
}
"""Column → an insert of a row with that number, by who may insert such rows."""


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        post_bills(run_of(OCTOBER), [bill("ann")], PostgresBooks(connector(own, "viewledger_billing")))
        yield own


def outcome(url: str, statement: str) -> str:
    """Return why PostgreSQL refused a statement, nothing where it did not; what it did is undone."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            return str(error)
        finally:
            connection.rollback()
    return ""


@pytest.mark.parametrize(("column", "statement"), STATEMENTS.items())
def test_a_number_is_the_next_one(url: str, column: str, statement: str) -> None:
    following = {"catalogue_version": 3, "contract_version": 3}.get(column, 1)
    last = LAST_INTEGER if column in ("account_version", "restatement_number") else LAST
    with person(url, "viewledger_billing") as biller:
        for wrong in (last, following + 1, 0, -1, -last):
            answer = outcome(biller, statement.format(wrong))
            assert "does not follow the newest row" in answer or "_check" in answer, (wrong, answer)
        answer = outcome(biller, statement.format(following))
        assert answer == "" or (column == "sequence" and "is not what a program reads" in answer), answer


def test_an_importer_cannot_end_the_imports_of_others(url: str) -> None:
    with person(url, "viewledger_importer") as importer:
        answer = outcome(importer, STATEMENTS["catalogue_version"].format(LAST))
        assert f"catalogue_version {LAST} does not follow the newest row; the next is 3" in answer
    store = PostgresCatalogueStore(connector(url, "viewledger_billing"))
    assert store.import_catalogue(Catalogue((), (), ()), "test")[0] <= 3


def test_numbers_that_the_database_gives_are_not_for_clients(url: str) -> None:
    taken = (
        f"INSERT INTO billing.notices (notice_id, payee_id, statement_id, delta_micros) OVERRIDING SYSTEM VALUE "
        f"SELECT {LAST}, 'ann', statement_id, 1 FROM billing.statements LIMIT 1"
    )
    with person(url, "viewledger_billing") as biller:
        assert "permission denied for table notices" in outcome(biller, taken)


def test_every_number_that_a_client_chooses_is_watched(url: str) -> None:
    """A key that counts (version, sequence, number) has the trigger, or the database gives it."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relnamespace::regnamespace || '.' || c.relname || '.' || a.attname
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
            WHERE i.indisunique AND c.relnamespace = ANY ('{billing,published,access,ingestion}'::regnamespace[])
              AND a.atttypid = ANY ('{int4,int8}'::regtype[]) AND a.attidentity = ''
              AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'
                              AND a.attnum = ANY (f.conkey))
              AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'number_follows'
                              AND t.tgargs LIKE (a.attname || '%')::bytea)
            GROUP BY 1 ORDER BY 1
            """
        )
        others = {name for (name,) in cursor}
    assert others == {
        "billing.entries.entry_index",  # below the number of entries that the transaction says
        "billing.checkpoint_nodes.part",  # where hashes stand in a tree; a proof with wrong ones fails
        "billing.group_evidence.event_count",  # a property of the group that it is about, below its hash
        "billing.notice_attempts.transition_index",  # which step it is about; one that is not there has no notice
        "billing.payment_audit.line_index",  # below the number of lines that the statement says
        "billing.payment_audit.policy_version",  # which policy judged the views
        "billing.payment_audit.tier_index",  # a place in the contract
        "billing.traffic_decisions.event_count",  # a property of the group that was decided on, below its hash
        "billing.transactions.payee_sequence",  # check_chain: the one before is there
        "billing.transitions.transition_index",  # check_transition: the one before is there
        "ingestion.replays.offset",  # a place in the log
        "ingestion.replays.partition",
        "published.archived_hours.partition",
        "published.versions.version",  # refuse_older: the pointer moves to the next one alone
        "published.log_generations.generation",  # how often the log was started over; batch runs alone write it
    }
