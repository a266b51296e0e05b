"""Finance's pages over HTTP, on fakes: what waits is shown, and what is not known is not called nothing."""

import csv
import io
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from billing.payouts.account_entries import SUSPENSE_OF_BANK
from billing.terms.suspense import SUSPENSE
from ingestion.contract.unavailable import Part
from serving_layer.portal import http_finance_pages
from tests.portal_fakes import FakePorts
from tests.unit.test_portal_pages import sign_in, signed_in


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with signed_in(ports, "fay") as client:
        yield client


def text(page: str) -> str:
    """The words of a page, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_finance_begins_with_the_month_to_close(client: TestClient) -> None:
    assert client.get("/portal").headers["location"] == "/portal/finance"


def test_the_headline_counts_what_blocks_waits_and_is_unknown(client: TestClient) -> None:
    shown = text(client.get("/portal/finance").text)
    assert "Close 2026-10" in shown
    assert "1 line keeps the period from being restated. 4 wait for a person. 1 is not known yet." in shown
    assert "Nothing waits" not in shown
    assert "Before it is restated" in shown
    assert "Before it is billed" in text(client.get("/portal/finance?period=2026-11").text)


def test_each_line_shows_its_state_count_amounts_and_where_to_decide(client: TestClient) -> None:
    page = client.get("/portal/finance").text
    shown = text(page)
    assert "575" in shown
    assert "-12.50" in shown
    assert 'href="/portal/finance/waiting/conflicts?period=2026-10"' in page
    assert 'href="/portal/operator/approvals"' in page
    assert "&lt;b&gt;raw&lt;/b&gt;" in page
    assert "9,876,543.21" in shown
    assert "<code>billing nightly</code> counts them" in page


def test_a_quiet_period_still_names_what_waits_in_others(client: TestClient) -> None:
    shown = text(client.get("/portal/finance?period=2026-09").text)
    assert "Nothing waits in this period, as far as it was counted." in shown
    assert "Something waits in 2 other rows of all periods" in shown
    assert "not billed 0 – 0 0 other days – 0 – 383 0" in shown
    assert "No estimate yet. billing nightly writes one for each open month" in shown
    assert "No statement yet. They appear here when the period is billed." in shown


def test_an_open_month_shows_its_forecast_by_currency(client: TestClient) -> None:
    shown = text(client.get("/portal/finance?period=2026-11").text)
    assert "1,234.50 USD" in shown
    assert "7.00 EUR" in shown
    assert "an estimate is not money" in shown


def test_a_period_that_is_in_no_row_is_the_one_that_is_chosen(client: TestClient) -> None:
    page = client.get("/portal/finance?period=2026-07-01/2026-07-09").text
    assert re.findall(r'<option value="([^"]*)" selected>', page) == ["2026-07-01/2026-07-09"]
    known = client.get("/portal/finance?period=2026-09").text
    assert re.findall(r'<option value="([^"]*)" selected>', known) == ["2026-09"]


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
    assert "billing conflicts decide --period 2026-10-01/2026-11-01 [--event PLACE] --reason WHY" in shown
    beyond = text(client.get("/portal/finance/waiting/conflicts?period=2026-11").text)
    assert "12 of any day are beyond the list. billing conflicts list --period 2026-11-01/2026-12-01 shows" in beyond
    assert "one place" in text(client.get("/portal/finance/waiting/traffic-groups").text)


def test_what_was_never_counted_is_not_called_none(client: TestClient) -> None:
    shown = text(client.get("/portal/finance/waiting/late-events").text)
    assert "Not counted yet. billing nightly counts them, and they appear here when it has run." in shown
    assert "None waits" not in shown
    assert "None waits, as of version 7" in text(client.get("/portal/finance/waiting/conflicts?period=2026-09").text)
    assert client.get("/portal/finance/waiting/other").status_code == 404


def test_without_postgres_the_pages_say_so(client: TestClient, ports: FakePorts) -> None:
    ports.away.add(Part.POSTGRES)
    for path in ("/portal/finance", "/portal/finance/waiting/conflicts"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "PostgreSQL does not answer" in answer.text


def test_approvals_show_what_was_earned_before_and_the_difference(client: TestClient) -> None:
    shown = text(client.get("/portal/operator/approvals").text)
    assert re.search(r"Ann Ápple ann 9\.38 +USD 2026-09 29\.38 +USD 20\.00 +USD above the limit", shown), shown
    assert "Amounts on hold" in shown


LISTS = ("/portal/statements", "/portal/finance/payments", "/portal/finance/payees")


def test_statements_are_those_of_the_newest_billed_period_a_hundred_at_a_time(client: TestClient) -> None:
    first = client.get("/portal/statements").text
    assert "1 to 100 of 250" in text(first)
    assert first.count('href="/portal/statements/0') == 100
    assert "Previous" not in text(first)
    last = client.get("/portal/statements?period=2026-10&order=period&page=3").text
    assert "201 to 250 of 250" in text(last)
    assert "Next" not in text(last)
    assert "page=2" in last
    assert "0 in all" in text(client.get("/portal/statements?period=2026-09").text)


def test_statements_are_found_by_payee_and_state_with_the_sums_of_the_whole_list(client: TestClient) -> None:
    shown = text(client.get("/portal/statements?state=in_review&period=all").text)
    assert "1 to 5 of 5" in shown
    assert "11.250515 USD" in shown
    one = client.get("/portal/statements", params={"search": "p007"}).text
    assert "1 to 1 of 1" in text(one)
    assert "=Ann &amp; &lt;b&gt;" in one


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/portal/statements?period=2026-01", "No statement matches. Remove a filter, or choose all periods."),
        ("/portal/statements?page=9", "The list ends before this page: it has 250 rows."),
        ("/portal/statements?payee=nobody", "No statement matches. Remove a filter, or choose all periods."),
        ("/portal/finance/payments?page=9", "The list ends before this page: it has 3 rows."),
        ("/portal/finance/payees?page=9", "The list ends before this page: it has 2 rows."),
    ],
)
def test_an_empty_page_does_not_say_that_there_is_nothing_at_all(
    client: TestClient, address: str, sentence: str
) -> None:
    page = client.get(address).text
    assert sentence in page
    assert "yet. The" not in text(page)


def test_beyond_the_end_the_way_back_leads_to_the_last_page(client: TestClient) -> None:
    assert "page=3" in client.get("/portal/statements?page=9").text


def test_the_order_of_statements_can_be_chosen(client: TestClient) -> None:
    page = client.get("/portal/statements?order=payable").text
    assert page.index("p249") < page.index("p248")


@pytest.mark.parametrize(
    "query", ["state=paid_out", "order=size", "period=October", "page=0", "page=x", "page=99999999999"]
)
def test_a_condition_that_there_is_not_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/portal/statements?{query}").status_code == 422


def test_a_file_has_all_rows_of_the_list_and_no_formula(client: TestClient) -> None:
    answer = client.get("/portal/finance/statements.csv?period=all")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 250
    assert (rows[7]["payee_name"], rows[7]["period"], rows[7]["payable_micros"]) == (
        "'=Ann & <b>",
        "2026-10",
        "2250007",
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="statements.csv"'
    assert len(client.get("/portal/finance/statements.csv?state=in_review").text.splitlines()) == 6


def test_a_files_instants_are_in_the_form_that_machines_read(client: TestClient) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get("/portal/finance/payments.csv").text)))
    assert (rows[0]["moved_at"], rows[0]["execution_on"]) == ("2026-11-25T03:00:00Z", "2026-12-01")


def test_payments_show_their_batch_and_what_became_of_them(client: TestClient) -> None:
    shown = text(client.get("/portal/finance/payments?batch=VL-EUR-20261201-1").text)
    assert "AC04 closed account" in shown
    assert "1 to 2 of 2" in shown
    assert "1 to 1 of 1" in text(client.get("/portal/finance/payments?state=returned").text)
    assert "No payment matches. Remove a filter." in text(client.get("/portal/finance/payments?state=voided").text)
    assert client.get("/portal/finance/payments?state=lost").status_code == 422


def test_a_line_of_close_leads_to_its_list(client: TestClient) -> None:
    page = client.get("/portal/finance").text
    assert 'href="/portal/statements?period=2026-10&amp;state=finalised"' in page
    assert 'href="/portal/finance/payments?state=settled"' in page
    assert "finalised, due" in text(page)


def test_what_was_never_owed_has_no_amount(client: TestClient) -> None:
    shown = text(client.get("/portal/finance/payees").text)
    assert "never owed 1 –" in shown


def test_payees_have_their_balances_and_what_is_on_hold(client: TestClient) -> None:
    page = client.get("/portal/finance/payees").text
    assert "5.00" in page
    assert "1.00" in page
    assert 'href="/portal/statements?period=all&amp;payee=ann"' in page
    assert 'href="/portal/finance/payments?payee=ann"' in page
    assert "No payee matches." in client.get("/portal/finance/payees?search=zoe").text


def test_a_payees_link_shows_their_rows_and_nobody_elses(client: TestClient) -> None:
    assert "1 to 2 of 2" in text(client.get("/portal/finance/payments?search=ann").text)
    page = client.get("/portal/finance/payments?payee=ann").text
    assert "1 to 1 of 1" in text(page)
    assert "joanne" not in page
    assert 'name="payee" value="ann"' in page
    assert 'href="/portal/finance/payments.csv?payee=ann"' in page
    assert len(client.get("/portal/finance/payments.csv?payee=ann").text.splitlines()) == 2
    assert "1 to 1 of 1" in text(client.get("/portal/statements?period=all&payee=p007").text)
    assert "0 in all" in text(client.get("/portal/statements?period=all&payee=p00").text)


SEARCHES = [
    *(f"{path}?search" for path in (*LISTS, "/portal/finance/payees.csv", "/portal/finance/statements.csv")),
    *(f"/portal/finance/payments{kind}?{name}" for kind in ("", ".csv") for name in ("search", "payee", "batch")),
    "/portal/statements?payee",
]


@pytest.mark.parametrize("address", SEARCHES)
@pytest.mark.parametrize("value", ["%00", "a%00b", "x" * 201, "%E2%80%AE"])
def test_a_search_that_no_database_takes_is_refused_with_what_is_allowed(
    client: TestClient, address: str, value: str
) -> None:
    answer = client.get(f"{address}={value}")
    assert answer.status_code == 422
    assert "has at most 200 characters that can be shown." in answer.text


@pytest.mark.parametrize("path", LISTS)
def test_without_postgres_a_list_says_so(client: TestClient, ports: FakePorts, path: str) -> None:
    ports.away.add(Part.POSTGRES)
    answer = client.get(path)
    assert (answer.status_code, "PostgreSQL does not answer" in answer.text) == (503, True)


def test_a_payee_sees_their_own_statements_and_no_list_of_finance(client: TestClient) -> None:
    sign_in(client, "ann")
    shown = client.get("/portal/statements").text
    assert "p001" not in shown
    assert client.get("/portal/finance/statements.csv").status_code == 404


def test_a_month_goes_from_events_to_payouts_in_stages(client: TestClient) -> None:
    page = client.get("/portal/finance/month").text
    shown = text(page)
    assert "2026-10: from events to payouts" in shown
    assert "Received 1,250,000 100.0 %" in shown
    assert "Rejected: they break the contract of events \u22124,000 Accepted 1,246,000 99.7 %" in shown
    assert "Invalid traffic \u221249,000 Valid views 1,150,042 92.0 %" in shown
    assert "Counted and not billable \u2212170,042 Billable views 980,000 78.4 %" in shown
    assert "not eligible for revenue 60,000 shorter than the minimum 90,000 received after the traffic of" in shown
    assert 'href="#not-billable"' in page
    assert "Paid out 7,000,000.00 USD 70.9 %" in shown
    assert "2 statements are restatements" in shown
    assert "Late events not counted yet" in shown
    assert "In suspense: earned by videos that nobody is known to own 900.00" in shown
    assert set(http_finance_pages.SUSPENSE) == {SUSPENSE, SUSPENSE_OF_BANK}
    assert 'href="/portal/finance/waiting/conflicts?period=2026-10"' in page
    assert 'href="/portal/finance/payments?state=returned"' in page


def test_the_largest_changes_lead_to_both_statements(client: TestClient) -> None:
    page = client.get("/portal/finance/month?period=2026-10").text
    assert 'href="/portal/statements/s-ann-09#lines"' in page
    assert 'href="/portal/statements/s-ann-10#lines"' in page
    assert "Ann&#39;s &lt;b&gt;walks&lt;/b&gt;" in page
    assert "+29.572 USD +11,800" in text(page)
    assert "12.00 USD \u2013 \u221212.00" in text(page)


def test_an_open_month_says_what_will_appear_and_when(client: TestClient) -> None:
    shown = text(client.get("/portal/finance/month?period=2026-11").text)
    assert "appear here with the first version that this release publishes" in shown
    assert "appears here when the period is billed" in shown
    assert client.get("/portal/finance/month?period=lately").status_code == 422


def test_a_month_whose_days_are_billed_in_another_period_leads_there(client: TestClient) -> None:
    page = client.get("/portal/finance/month?period=2026-09-20/2026-10-15").text
    assert 'billed in <a href="/portal/finance/month?period=2026-10">2026-10</a>' in page
    assert "billed in" not in client.get("/portal/finance/month?period=2026-11").text


def test_without_postgres_no_month_is_shown_at_all(client: TestClient, ports: FakePorts) -> None:
    ports.away.add(Part.POSTGRES)
    assert client.get("/portal/finance/month").status_code == 503
