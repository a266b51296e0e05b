"""`reporting.statements`, the API and the commands show the same statements, by the same names."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.runs import BillingRun
from billing.books.states import Move
from billing.postgres_session import connector
from billing.rating.rated_lines import PayeeBill
from billing.terms.contracts import StatementTerms
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period
from jobs.commands.billing.statement_tables import statement_json
from jobs.wiring.api_statements import BooksStatements
from serving_layer.request.cursors import Cursors
from serving_layer.routes.http_statements import ServedStatements, statement_routes
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, line, run_of
from tests.billing_postgres import own_database
from tests.postgres_people import second_person
from tests.serving_access import CALLERS, guard_of
from tests.serving_fakes import InlineExecutor

BESIDE_THE_API = {"run_id", "state_since"}
"""What the view has besides: of the run and of the newest step, which the API's statements do not show."""
STATES = {"finalised", "superseded", "in_review", "held", "voided", "paid"}
MONEY = ("earned_micros", "over_cap_micros", "tax_micros", "payable_micros")
WAITS = -1
"""An approval limit under which every statement waits for a second person."""


class Scene:
    """The books of one database, and those who bill and approve."""

    def __init__(self, url: str) -> None:
        billing = connector(url, "viewledger_billing")
        self.books, self.reader = PostgresBooks(billing), PostgresStatements(billing)
        self.billing = PostgresStates(billing)
        self.approver = PostgresStates(connector(second_person(url), "viewledger_approver"))

    def bill(self, run: BillingRun, *bills: PayeeBill) -> None:
        of_period = (in_period(each, run.period) for each in bills)
        post_bills(run, sorted(of_period, key=lambda each: each.payee_id), self.books)

    def newest(self, payee_id: str, period: Period = OCTOBER) -> str:
        found = self.reader.statement(payee_id, period)
        assert found is not None
        return found.statement.statement_id

    def decide(self, payee_id: str, to_state: str, period: Period = OCTOBER) -> None:
        self.approver.move("statement", self.newest(payee_id, period), Move(to_state, "max", "looked at"))

    def fill(self) -> None:
        """Bill what a statement can be: capped, taxed, next to nothing, nobody's, corrected, held, voided, paid."""
        for month in ("2026-07", "2026-08", "2026-09"):
            self.bill(run_of(Period.parse(month)), bill("steady", line(views=100_000)))
        taxed = StatementTerms(tax_country="DE", tax_ppm=150_000)
        october = (
            bill("ann"),
            replace(bill("capped"), terms=replace(taxed, cap_micros=2_000_001)),
            replace(bill("taxed"), terms=taxed),
            bill("tiny", line(views=1, rate=333)),
            bill("restated", line(views=7, rate=1001)),
            bill("restated-to-nothing"),
            bill(SUSPENSE, line("nobodys", 3)),
            bill("steady", line(views=2_000_000)),
        )
        self.bill(run_of(), *october)
        self.billing.move("statement", self.newest("ann"), Move("paid", "eve"))
        corrected = run_of(restatement_number=1, cause="late events", batch_version=4, approval_limit_micros=WAITS)
        kept = [each for each in october if not each.payee_id.startswith("restated") and each.payee_id != "taxed"]
        changed = [bill("restated", line(views=9, rate=1001)), replace(bill("taxed", line(views=900)), terms=taxed)]
        self.bill(corrected, *kept, *changed)
        for payee_id in ("restated", "restated-to-nothing"):
            self.decide(payee_id, "approved")
        self.decide("taxed", "voided")
        finalise_run(corrected.run_id, self.books)
        waiting = run_of(NOVEMBER, currency="EUR", approval_limit_micros=WAITS)
        self.bill(waiting, *(bill(payee_id, currency="EUR") for payee_id in ("ann", "voided", "waits")))
        self.decide("voided", "voided", NOVEMBER)


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        Scene(own).fill()
        yield own


@pytest.fixture(scope="module")
def api(url: str) -> TestClient:
    """The API's routes over the real books, with the rights of its role."""
    books = ServedStatements(BooksStatements(url), Cursors(b"k" * 32), InlineExecutor())
    return TestClient(FastAPI(routes=statement_routes(guard_of(), books)))


@pytest.fixture(scope="module")
def rows(url: str) -> list[dict[str, Any]]:
    """The view, as the role sees it that may read nothing else."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE viewledger_reporting")
        cursor.execute("SELECT to_jsonb(s) FROM reporting.statements s ORDER BY statement_id")
        return [row for (row,) in cursor]


def asked(api: TestClient, path: str) -> dict[str, Any]:
    answer = api.get(path, headers=CALLERS["auditor"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_statements_are_of_every_kind(rows: list[dict[str, Any]]) -> None:
    assert {row["state"] for row in rows} == STATES
    assert {row["currency"] for row in rows} == {"EUR", "USD"}
    assert {row["restatement_number"] for row in rows} == {0, 1}
    assert SUSPENSE in {row["payee_id"] for row in rows}
    for name in MONEY:
        assert {row[name] > 0 for row in rows} == {True, False}, name


def test_each_statement_is_the_same_in_the_view_and_in_the_api(rows: list[dict[str, Any]], api: TestClient) -> None:
    for row in rows:
        shown = asked(api, f"/v1/statements/{row['statement_id']}")
        assert row.keys() - shown.keys() == BESIDE_THE_API
        assert {name: shown[name] for name in row.keys() & shown.keys()} == {
            name: value for name, value in row.items() if name not in BESIDE_THE_API
        }


def test_each_payee_has_the_same_statements_in_the_view_and_in_the_api(
    rows: list[dict[str, Any]], api: TestClient
) -> None:
    for payee_id in {row["payee_id"] for row in rows}:
        listed = asked(api, f"/v1/channels/{payee_id}/statements?limit=1000")["rows"]
        of_payee = [row for row in rows if row["payee_id"] == payee_id]
        assert sorted(each["statement_id"] for each in listed) == [row["statement_id"] for row in of_payee]


def test_the_words_of_money_add_up_in_the_view_and_are_those_of_the_command(
    rows: list[dict[str, Any]], url: str
) -> None:
    reader = PostgresStatements(connector(url, "viewledger_billing"))
    for row in rows:
        found = reader.statement_by_id(row["statement_id"])
        assert found is not None
        assert row["earned_micros"] == row["payable_micros"] + row["tax_micros"]
        assert sum(each.amount_micros for each in found.lines) == row["earned_micros"] + row["over_cap_micros"]
        printed = statement_json(found)
        assert {name: printed[name] for name in MONEY} == {name: row[name] for name in MONEY}
