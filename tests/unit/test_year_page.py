"""The page and the file of a payee's year."""

import csv
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serving_layer.portal.http_portal import portal_routes
from tests.portal_fakes import ANNS, FakePorts, fake_portal
from tests.unit.test_portal_pages import sign_in, signed_in


@pytest.fixture
def client() -> Iterator[TestClient]:
    ports = FakePorts()
    ports.add_history()
    with signed_in(ports, "ann") as client:
        yield client


def test_a_year_begins_with_a_balance_and_its_rows_lead_to_the_end(client: TestClient) -> None:
    rows = list(csv.DictReader(client.get("/portal/years/2026.csv").text.splitlines()))
    assert (rows[0]["kind"], rows[-1]["kind"]) == ("balance_at_start", "balance_at_end")
    balance = int(rows[0]["balance_micros"])
    for row in rows[1:-1]:
        balance += int(row["amount_micros"])
        assert balance == int(row["balance_micros"]), row
    assert balance == int(rows[-1]["balance_micros"]) == 29_380_000
    earned = sum(int(row["earned_micros"]) for row in rows if row["earned_micros"])
    tax = sum(int(row["tax_micros"]) for row in rows if row["tax_micros"])
    paid = -sum(int(row["amount_micros"]) for row in rows if row["kind"].startswith("payout"))
    assert int(rows[0]["balance_micros"]) + earned - tax - paid == balance
    assert [row["period"] for row in rows[1:3]] == ["2026-09", ""]
    page = client.get("/portal/years/2026").text
    for amount in ("60.913333 USD", "6.091333 USD", "26.442 USD", "29.38 USD"):
        assert amount in page, amount
    assert f'<a href="/portal/statements/{ANNS}">Statement that was replaced 2026-10</a>' in page
    assert "d" * 32 in page
    assert 'href="/portal/years/2025"' in page


@pytest.mark.parametrize("year", ["2024", "2027", "0", "-1", "20 26", "2026.0", "９", "9" * 400])
@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_a_year_without_a_statement_is_refused_in_one_sentence(client: TestClient, year: str, suffix: str) -> None:
    answer = client.get(f"/portal/years/{year}{suffix}")
    assert answer.status_code == 422
    assert "There are year statements of 2025 to 2026; " in answer.text


def test_a_payee_without_postings_has_this_year_alone(client: TestClient) -> None:
    sign_in(client, "bob")
    assert "Nothing was posted in this year" in client.get("/portal/years/2026").text
    assert "There are year statements of 2026 only" in client.get("/portal/years/2025").text


def test_a_year_that_cannot_be_read_is_not_called_empty() -> None:
    ports = FakePorts()
    ports.away = {"postgres"}
    with TestClient(FastAPI(routes=portal_routes(fake_portal(ports))), follow_redirects=False) as client:
        sign_in(client, "ann")
        answer = client.get("/portal/years/2026")
    assert (answer.status_code, "cannot be read now" in answer.text) == (503, True)
