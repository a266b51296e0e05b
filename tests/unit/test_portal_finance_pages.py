"""Finance's pages over HTTP, on fakes: what waits is shown, and what is not known is not called nothing."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ingestion.contract.unavailable import Part
from serving_layer.portal.http_portal import portal_routes
from tests.portal_fakes import FakePorts, fake_portal
from tests.unit.test_portal_pages import sign_in


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with TestClient(FastAPI(routes=portal_routes(fake_portal(ports))), follow_redirects=False) as client:
        sign_in(client, "fay")
        yield client


def text(page: str) -> str:
    """The words of a page, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_finance_begins_with_the_month_to_close(client: TestClient) -> None:
    assert client.get("/portal").headers["location"] == "/portal/finance"


def test_the_headline_counts_what_blocks_waits_and_is_unknown(client: TestClient) -> None:
    shown = text(client.get("/portal/finance").text)
    assert "Close 2026-10" in shown
    assert "1 of these keep the period from being billed. 4 wait for a person. 1 are not known yet." in shown
    assert "Nothing waits" not in shown


def test_each_line_shows_its_state_count_amounts_and_where_to_decide(client: TestClient) -> None:
    page = client.get("/portal/finance").text
    shown = text(page)
    assert "575" in shown
    assert "-12.50" in shown
    assert 'href="/portal/finance/waiting/conflicts?period=2026-10"' in page
    assert 'href="/portal/operator/approvals"' in page
    assert "&lt;b&gt;raw&lt;/b&gt;" in page
    assert "9,876,543.21" in shown


def test_a_quiet_period_still_names_what_waits_in_others(client: TestClient) -> None:
    shown = text(client.get("/portal/finance?period=2026-09").text)
    assert "Nothing waits in this period, as far as it was counted." in shown
    assert "Something waits in 2 other rows of all periods" in shown
    assert "other days" in shown
    assert "No estimate yet." in shown
    assert "No statement yet. They appear here when the period is billed." in shown


def test_an_open_month_shows_its_forecast_by_currency(client: TestClient) -> None:
    shown = text(client.get("/portal/finance?period=2026-11").text)
    assert "1,234.50 USD" in shown
    assert "7.00 EUR" in shown
    assert "an estimate is not money" in shown


def test_a_period_that_is_none_is_refused_with_its_forms(client: TestClient) -> None:
    for path in ("/portal/finance", "/portal/finance/waiting/conflicts"):
        answer = client.get(path, params={"period": "last month"})
        assert answer.status_code == 422
        assert "is not a period" in answer.text


def test_what_waits_is_listed_with_the_rest_counted(client: TestClient) -> None:
    shown = text(client.get("/portal/finance/waiting/conflicts?period=2026-10").text)
    assert "1 of 575 that wait, and 12 of any day beyond the list, as of version 7" in shown
    assert "3:1721" in shown
    assert "differs in view_duration" in shown
    assert "billing conflicts decide --period 2026-10-01/2026-11-01" in shown
    assert "one place" in text(client.get("/portal/finance/waiting/traffic-groups").text)


def test_what_was_never_counted_is_not_called_none(client: TestClient) -> None:
    shown = text(client.get("/portal/finance/waiting/late-events").text)
    assert "Not counted yet." in shown
    assert "None waits" not in shown
    assert "None waits, as of version 7" in text(client.get("/portal/finance/waiting/conflicts?period=2026-09").text)
    assert client.get("/portal/finance/waiting/other").status_code == 404


def test_without_postgres_the_pages_say_so(client: TestClient, ports: FakePorts) -> None:
    ports.away.add(Part.POSTGRES)
    for path in ("/portal/finance", "/portal/finance/waiting/conflicts"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "PostgreSQL does not answer" in answer.text
