"""A payee's years on a real PostgreSQL, with the rights of the API's role: what they add up to is in the ledger."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.book_ports import Balance
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.payouts.answers import Acknowledgement, Answer
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.rating.rated_lines import PayeeBill
from billing.terms.contracts import StatementTerms
from ingestion.contract.periods import Period
from jobs.wiring.portal_earnings import PayeeEarnings
from tests.billing_fakes import bill, in_period, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import person, second_person

PERIODS = [Period.parse(text) for text in ("2024-11", "2024-12", "2025-01", "2025-12", "2026-01", "2026-10")]
PAYEES = ("ann", "bob")
FAR = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    """Books of three years by chance: taxed, restated in a later year, paid, sent back, and with a voided hold."""
    chance = random.Random(11)
    with own_database(postgres_url) as url:
        connect, ledger = connector(url), PostgresBooks(connector(url))
        approver = connector(second_person(url), "viewledger_approver")
        for period in PERIODS:
            bills = [_bill(chance, payee_id, period) for payee_id in PAYEES]
            post_bills(run_of(period), bills, ledger)
        restated = run_of(PERIODS[1], restatement_number=1, cause="late events", batch_version=4)
        post_bills(restated, [_bill(chance, payee_id, PERIODS[1]) for payee_id in PAYEES], ledger)
        for statement, _ in PostgresStatements(connect).in_state("in_review"):
            PostgresStates(approver).move("statement", statement.statement_id, Move("approved", "max"))
        finalise_run(restated.run_id, ledger)
        hold_id = PostgresHolds(connect).place("bob", "USD", 1_000_000, FAR, Move("pending", "eve", "odd"))
        PostgresHolds(connect).decide(hold_id, Move("voided", "max", "proven"), datetime.now(UTC))
        payouts = PostgresPayouts(connect)
        payouts.import_accounts([BankAccount(each, each.title(), "DE89370400440532013000") for each in PAYEES], "eve")
        put_in_force(url)
        items, _ = payouts.create_batch("USD", datetime.now(UTC).date(), lambda _: 0, "eve")
        PostgresPayoutSteps(approver).approve(items[0].batch_id, Move("approved", "max"))
        PostgresPayoutSteps(connect).write(items[0].batch_id, "eve")
        outcomes = zip(items, ("settled", "rejected"), strict=True)
        answer = [
            Acknowledgement(each.item_id, what, each.amount_micros, "USD", "", "line 2") for each, what in outcomes
        ]
        payouts.acknowledge(Answer(tuple(answer)), "eve")
        yield url


def _bill(chance: random.Random, payee_id: str, period: Period) -> PayeeBill:
    made = in_period(bill(payee_id, line(views=chance.randrange(1_000, 90_000), rate=2_500_001)), period)
    return replace(made, terms=StatementTerms(tax_country="US", tax_ppm=chance.choice([0, 150_000, 300_000])))


@pytest.fixture
def earnings(url: str) -> Iterator[PayeeEarnings]:
    with person(url, "viewledger_api", name="api") as login:
        yield PayeeEarnings(login)


def owed(url: str, payee_id: str, until: datetime = FAR) -> int:
    found = PostgresBooks(connector(url)).balances(posted_before=FAR, effective_until=until)
    return -_sum(found, f"payable:{payee_id}")


def _sum(balances: list[Balance], account: str) -> int:
    return sum(each.balance_micros for each in balances if each.account.startswith(account))


@pytest.mark.parametrize("payee_id", PAYEES)
def test_the_years_lead_from_nothing_to_the_balance_in_the_ledger(
    earnings: PayeeEarnings, url: str, payee_id: str
) -> None:
    years, balance = earnings.years(payee_id), 0
    assert years == [2024, 2025, 2026]
    for year in years:
        (found,) = earnings.year(payee_id, year)
        assert found.start_micros == balance
        for row in found.rows:
            balance += row.amount_micros
            assert row.balance_micros == balance
            assert row.day.year == year
        assert balance == found.end_micros == owed(url, payee_id, datetime(year + 1, 1, 1, tzinfo=UTC))
        changes = found.earned_micros - found.tax_micros - found.paid_micros - found.voided_micros
        assert found.start_micros + changes == found.end_micros
    assert balance == owed(url, payee_id)


def test_tax_and_earnings_of_all_years_are_those_of_the_ledger(earnings: PayeeEarnings, url: str) -> None:
    found = [each for payee_id in PAYEES for year in (2024, 2025, 2026) for each in earnings.year(payee_id, year)]
    ledger = PostgresBooks(connector(url)).balances(posted_before=FAR, effective_until=FAR)
    tax, voided = sum(each.tax_micros for each in found), sum(each.voided_micros for each in found)
    assert tax == -_sum(ledger, "withheld-tax:") > 0
    assert voided == 1_000_000
    assert sum(each.earned_micros for each in found) - voided == _sum(ledger, "expense:creator-revenue")


def test_a_statement_is_in_the_year_of_its_last_day_and_a_correction_in_the_year_it_corrects(
    earnings: PayeeEarnings,
) -> None:
    rows = [row for each in earnings.year("ann", 2024) for row in each.rows]
    assert [(row.day, row.kind) for row in rows] == [
        (date(2024, 11, 30), "statement"),
        (date(2024, 12, 31), "statement"),
        (date(2024, 12, 31), "reversal"),
        (date(2024, 12, 31), "statement"),
    ]
    assert [row.period for row in rows] == [PERIODS[0], *[PERIODS[1]] * 3]


def test_a_payout_has_its_reference_and_its_masked_account(earnings: PayeeEarnings) -> None:
    today = datetime.now(UTC).date()
    kinds = {}
    for payee_id in PAYEES:
        rows = [row for each in earnings.year(payee_id, today.year) for row in each.rows if row.item_id]
        assert {row.account for row in rows} == {"DE…3000"}
        assert len({row.item_id for row in rows}) == 1
        assert all(abs(row.day - today) <= timedelta(days=1) for row in rows)
        kinds[payee_id] = [row.kind for row in rows]
    assert sorted(kinds.values(), key=len) == [["payout"], ["payout", "payout_rejected"]]


def test_a_year_or_a_payee_without_postings_has_nothing(earnings: PayeeEarnings) -> None:
    assert (earnings.years("nobody"), earnings.year("nobody", 2026), earnings.year("ann", 1999)) == ([], [], [])
