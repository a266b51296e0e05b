"""Bundles of single statements from real books, read by a login that has the rights of the API and no others."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.errors import CheckpointRefusedError
from billing.postgres_session import connector
from billing.proof.checkpointing import keep_trees
from billing.proof.postgres_statement_bundle import bundle_of_statement
from billing.proof.postgres_trees import PostgresTrees
from billing.rating.attribution import Attribution
from billing.rating.rating import rate_period
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from jobs.local_stack.stack import LocalStack
from tests.billing_fakes import OCTOBER, FakeSettledViews, published, run_of
from tests.billing_postgres import put_in_force
from tests.bundle_makers import random_month
from tests.checkpoint_books import TODAY, Books, books_of, copied
from tests.postgres_people import person, second_person
from tests.verifier import verifier

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
YESTERDAY = TODAY - timedelta(days=1)


@dataclass
class Office:
    """Books with a restated October, and the login by which payees are shown theirs."""

    books: Books
    reader_url: str

    def bundle(self, statement_id: str) -> bytes | None:
        return bundle_of_statement(connector(self.reader_url), statement_id, NOON)

    def keep_trees(self) -> None:
        keep_trees(self.books.journal, PostgresTrees(connector(self.books.url, "viewledger_billing")))

    def statements(self) -> list[tuple[str, str, str]]:
        """Return (id, payee, state) of every statement."""
        found = PostgresStatements(connector(self.books.url)).newest(100)
        return [(each.statement_id, each.payee_id, state) for each, state in found]

    def verified(self, statement_id: str, folder: Path) -> dict[str, Any]:
        bundle = self.bundle(statement_id)
        assert bundle is not None
        file = folder / f"{statement_id}.json"
        file.write_bytes(bundle)
        found: dict[str, Any] = verifier.verify_statement(file, self.books.key.public_key, [])
        return found


@pytest.fixture(scope="module")
def untouched(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """A checkpoint after the first run, and one after the restatement."""
    month = random_month(4)
    with books_of(stack, tmp_path_factory.mktemp("books")) as books:
        connect = connector(books.url)
        store = PostgresCatalogueStore(connect)
        catalogue_version = store.import_catalogue(month.catalogue, "test").version
        contract_version = store.import_contracts(month.contracts).version
        put_in_force(books.url)
        attribution = Attribution(OCTOBER, month.catalogue, month.contracts)
        terms = {"catalogue_version": catalogue_version, "contract_version": contract_version}
        first = run_of(batch_version=2, **terms)
        again = run_of(batch_version=3, restatement_number=1, cause="late events", **terms)
        ledger = PostgresBooks(connect)
        for run, counts in ((first, month.counts_in[: len(month.counts_in) // 2]), (again, month.counts_in)):
            views = FakeSettledViews(counts, published())
            post_bills(run, rate_period(views.pieces(attribution), attribution), ledger)
            if run is first:
                books.checkpoint(YESTERDAY)
        states = PostgresStates(connector(second_person(books.url), "viewledger_approver"))
        for statement, _ in PostgresStatements(connect).in_state("in_review"):
            states.move("statement", statement.statement_id, Move("approved", "max"))
        finalise_run(again.run_id, ledger)
        yield books


@pytest.fixture
def office(untouched: Books) -> Iterator[Office]:
    with copied(untouched) as books, person(books.url, "viewledger_api", name="api") as url:
        yield Office(books, url)


def test_every_statement_is_verified_from_its_bundle_alone(office: Office, tmp_path: Path) -> None:
    office.books.checkpoint(TODAY)
    office.keep_trees()
    found = [(state, office.verified(statement_id, tmp_path)) for statement_id, _, state in office.statements()]
    assert {state for state, _ in found} >= {"finalised", "superseded"}
    assert all(state == each["state"] for state, each in found)
    assert sum(each["lines"] for _, each in found) > 10
    assert {each["records_not_signed"] for _, each in found} == {0}


def test_a_bundle_names_no_other_payee(office: Office) -> None:
    office.books.checkpoint(TODAY)
    office.keep_trees()
    payees = {payee_id for _, payee_id, _ in office.statements()}
    assert len(payees) > 2
    for statement_id, own, _ in office.statements():
        text = (office.bundle(statement_id) or b"").decode()
        assert own in text
        assert not [each for each in payees - {own} if f'"{each}"' in text or f":{each}" in text]


def test_what_no_checkpoint_covers_is_said_to_be_not_signed(office: Office, tmp_path: Path) -> None:
    """The first run is covered; its tree is stored by the next checkpoint, as that of an earlier release is."""
    statement_id = next(each for each, _, state in office.statements() if state == "superseded")
    assert office.verified(statement_id, tmp_path)["records_not_signed"] > 3
    office.keep_trees()
    assert office.verified(statement_id, tmp_path)["records_not_signed"] == 2, "its last step, and its reversal"
    office.books.checkpoint(TODAY)
    office.keep_trees()
    assert office.verified(statement_id, tmp_path)["records_not_signed"] == 0


def test_a_statement_that_was_changed_past_the_rules_is_not_what_was_signed(office: Office, tmp_path: Path) -> None:
    office.books.checkpoint(TODAY)
    office.keep_trees()
    statement_id = office.statements()[0][0]
    office.books.tamper(
        "UPDATE billing.statements SET outcomes = outcomes || '{\"own_view\": 9}' "
        f"WHERE statement_id = '{statement_id}'"
    )
    with pytest.raises(verifier.WrongError, match="is not what the checkpoint of 2026-11-25 signed"):
        office.verified(statement_id, tmp_path)


def test_no_tree_is_stored_over_records_that_were_changed_since(office: Office) -> None:
    office.books.tamper("UPDATE billing.runs SET actor = 'another'")
    with pytest.raises(CheckpointRefusedError, match="are not those that it signed"):
        office.keep_trees()
    assert office.books.rows("SELECT count(*) FROM billing.checkpoint_nodes") == [(0,)]


def test_a_tree_larger_than_one_row_gives_the_same_paths(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.books.checkpoint(TODAY)
    office.keep_trees()
    statement_id = office.statements()[0][0]
    whole = json.loads(office.bundle(statement_id) or b"")
    office.books.tamper("DELETE FROM billing.checkpoint_nodes")
    monkeypatch.setattr("billing.proof.postgres_trees.PART_NODES", 4)
    office.keep_trees()
    assert office.books.rows("SELECT max(part) FROM billing.checkpoint_nodes WHERE level = 0") > [(1,)]
    assert json.loads(office.bundle(statement_id) or b"") == whole


def test_nobody_changes_a_stored_tree_and_the_reader_adds_none(office: Office) -> None:
    office.keep_trees()
    for url, statement in (
        (office.books.url, "UPDATE billing.checkpoint_nodes SET level = 3"),
        (office.books.url, "DELETE FROM billing.checkpoint_nodes"),
        (office.reader_url, "INSERT INTO billing.checkpoint_nodes VALUES (1, 60, 0, decode(repeat('00', 32), 'hex'))"),
    ):
        connection = psycopg2.connect(url)
        with pytest.raises(psycopg2.Error, match=r"append-only|permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()


def test_a_statement_that_does_not_exist_has_no_bundle(office: Office) -> None:
    assert office.bundle("0" * 32) is None
