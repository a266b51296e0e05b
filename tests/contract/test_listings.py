"""Finance's lists on a real PostgreSQL, with the rights of the API's role."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from billing.books.months import StateSum
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.run_posting import post_bills
from billing.books.states import Move
from billing.payouts.bank_data import BankAccount
from billing.payouts.listings import FoundPayee, PaymentFilter, RowRange, StatementFilter, StatementOrder
from billing.payouts.postgres_listings import PostgresListings
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.periods import Period
from jobs.wiring.portal_finance import PortalFinance
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, catalogue_of, in_period, line, run_of
from tests.billing_postgres import own_database, put_in_force

ALL = RowRange(0, 100)
DAY = datetime.now(UTC).date() + timedelta(days=3)


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """Books in which ann, bob and eve were billed for October, ann and bob for November; eve waits."""
    with own_database(postgres_url) as url:
        connect = connector(url, "viewledger_billing")
        books = PostgresBooks(connect)
        PostgresCatalogueStore(connect).import_catalogue(catalogue_of(v="ann", w="bob", x="zoe"), "test")
        bills = [
            bill("ann", currency="EUR"),
            bill("bob", currency="EUR"),
            bill("eve", line(views=9_000), currency="EUR"),
        ]
        limit = {"currency": "EUR", "approval_limit_micros": 5_000_000}
        post_bills(run_of(**limit), (in_period(each, OCTOBER) for each in bills), books)
        later = [bill(payee_id, line(views=400), currency="EUR") for payee_id in ("ann", "bob")]
        post_bills(run_of(NOVEMBER, **limit), (in_period(each, NOVEMBER) for each in later), books)
        yield url


def listings(url: str) -> PostgresListings:
    return PostgresListings(connector(url, "viewledger_api"))


def found(url: str, order: StatementOrder = StatementOrder.PERIOD, **wanted: object) -> list[tuple[str, str]]:
    listing = listings(url).statements(StatementFilter(**wanted), order, ALL)  # type: ignore[arg-type]
    return [(each.payee_id, f"{each.period.start_on:%m}") for each in listing.rows]


def test_statements_are_listed_in_each_order(url: str) -> None:
    assert found(url) == [("ann", "11"), ("bob", "11"), ("ann", "10"), ("bob", "10"), ("eve", "10")]
    assert found(url, StatementOrder.PAYABLE)[0] == ("eve", "10")
    assert found(url, StatementOrder.PAYEE)[:2] == [("ann", "11"), ("ann", "10")]


def test_statements_are_found_by_payee_state_and_period(url: str) -> None:
    assert found(url, search="BOB", period=OCTOBER) == [("bob", "10")]
    assert found(url, payee_id="bob", period=OCTOBER) == [("bob", "10")]
    assert found(url, payee_id="bo") == []
    assert found(url, search="channel b") == [("bob", "11"), ("bob", "10")]
    assert found(url, state="in_review") == [("eve", "10")]
    assert found(url, search="%") == []


def test_the_sums_are_of_the_whole_list_and_not_of_its_part(url: str) -> None:
    listing = listings(url).statements(StatementFilter(), StatementOrder.PERIOD, RowRange(1, 1))
    assert [each.payee_id for each in listing.rows] == ["bob"]
    assert listing.count == 5
    assert listing.sums == [
        StateSum("finalised", "EUR", 4, 7_000_000),
        StateSum("in_review", "EUR", 1, 22_500_000),
    ]


def test_beyond_the_end_of_a_list_its_sums_are_still_known(url: str) -> None:
    beyond = listings(url).statements(StatementFilter(payee_id="ann"), StatementOrder.PERIOD, RowRange(2, 10))
    assert (beyond.rows, beyond.count, beyond.sums) == ([], 2, [StateSum("finalised", "EUR", 2, 3_500_000)])
    nobody = listings(url).statements(StatementFilter(payee_id="nobody"), StatementOrder.PERIOD, ALL)
    assert (nobody.rows, nobody.sums) == ([], [])
    assert listings(url).payees("", RowRange(3, 10)).count == 3


def test_amounts_are_ordered_within_their_currency(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    bills = [bill("kim", currency="CHF"), bill("lee", line(views=2), currency="CHF")]
    september = Period.parse("2026-09")
    order = run_of(september, currency="CHF", approval_limit_micros=5_000_000)
    post_bills(order, (in_period(each, september) for each in bills), books)
    first = [payee_id for payee_id, _ in found(url, StatementOrder.PAYABLE)][:3]
    assert first == ["kim", "lee", "eve"]


def test_payments_show_batch_state_and_reason(url: str) -> None:
    payouts = PostgresPayouts(connector(url, "viewledger_billing"))
    payouts.import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000", None)], "fay")
    put_in_force(url)
    payouts.create_batch("EUR", DAY, lambda _: 0, "fay")
    listing = listings(url).payments(PaymentFilter(), ALL)
    (row,) = listing.rows
    assert (row.payee_id, row.payee_name, row.amount_micros) == ("ann", "Channel ann", 3_500_000)
    assert (row.batch_state, row.state, row.execution_on) == ("made", "instructed", DAY)
    assert listing.sums == [StateSum("instructed", "EUR", 1, 3_500_000)]
    assert listings(url).payments(PaymentFilter(state="settled"), ALL).rows == []
    assert len(listings(url).payments(PaymentFilter(batch_id=row.batch_id, search="an"), ALL).rows) == 1
    assert listings(url).payments(PaymentFilter(search="bob"), ALL).rows == []
    assert len(listings(url).payments(PaymentFilter(payee_id="ann"), ALL).rows) == 1
    assert listings(url).payments(PaymentFilter(payee_id="an"), ALL).rows == []


def test_payees_are_those_of_the_catalogue_and_those_who_are_owed_something(url: str) -> None:
    holds = PostgresHolds(connector(url, "viewledger_billing"))
    holds.place("bob", "EUR", 500_000, datetime.now(UTC) + timedelta(days=3), Move("pending", "fay", "disputed"))
    listing = listings(url).payees("", ALL)
    assert listing.rows == [
        FoundPayee("ann", "Channel ann", "", "EUR", 3_500_000, 0),
        FoundPayee("bob", "Channel bob", "", "EUR", 3_500_000, 500_000),
        FoundPayee("zoe", "Channel zoe", "", "", 0, 0),
    ]
    assert listing.sums == [StateSum("never_owed", "", 1, 0), StateSum("owed", "EUR", 2, 7_000_000)]
    assert [each.payee_id for each in listings(url).payees("zo", ALL).rows] == ["zoe"]
    assert listings(url).payees("CHANNEL B", ALL).sums == [StateSum("owed", "EUR", 1, 3_500_000)]


def test_the_portal_reads_them_through_its_port(url: str) -> None:
    finance = PortalFinance(url, timedelta(hours=24))
    assert list(finance.billed_periods()) == [OCTOBER, NOVEMBER]
    page = finance.statements(search="", payee_id="", state="", period=NOVEMBER, order="payee", offset=0, count_max=10)
    assert [each.payee_name for each in page.rows] == ["Channel ann", "Channel bob"]
    assert finance.payments(search="", payee_id="", state="", batch_id="", offset=0, count_max=10).count == 0
    assert finance.payees(search="zoe", offset=0, count_max=10).count == 1
