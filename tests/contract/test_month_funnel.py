"""The month from events to payouts, on a real PostgreSQL: what statements, tally and the journal of runs add up to."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from batch_layer.versions.day_changes import CellChange, DayChange, TallyRow
from batch_layer.versions.ports import RunEntry, StagedCounts
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.books.funnel import Funnel, MoneyStages
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_funnel import PostgresFunnel
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.payouts.listings import RowRange, StatementFilter, StatementOrder
from billing.payouts.postgres_listings import PostgresListings
from billing.postgres_session import connector
from billing.rating.rated_lines import PayeeBill
from billing.terms.suspense import SUSPENSE
from jobs.wiring.portal_finance import PortalFinance
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, line, published, run_of
from tests.billing_postgres import own_database
from tests.postgres_people import second_person

DAY, OTHER = date(2026, 11, 20), date(2026, 12, 1)
TALLY = [
    TallyRow(DAY, "counted", "", 5_000),
    TallyRow(DAY, "duplicate", "", 40),
    TallyRow(DAY, "rejected", "country", 7),
    TallyRow(DAY, "invalid_traffic", "robot", 300),
    TallyRow(DAY, "invalid_traffic", "crowd", 3),
    TallyRow(OTHER, "counted", "", 9),
]
"""Five outcomes on a day of November, and one of another month."""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as url:
        yield url


def funnel(url: str) -> Funnel:
    return PostgresFunnel(connector(url, "viewledger_api")).funnel(NOVEMBER)


def publish(url: str) -> None:
    """Publish TALLY as the version after the nine that are there, with 4,200 billable views on its first day."""
    cell = CellChange(3, "DE", "tv", 5_000, 4_200, 60_000)
    with closing(PostgresVersionStore(url)) as store:
        store.begin(RunEntry("run-10", "incremental", "running", None, datetime(2026, 12, 2, tzinfo=UTC), None))
        change = DayChange("v", DAY.isoformat(), 5_000, 4_200, 60_000, [cell])
        staged = StagedCounts(0, PostgresStaging(url).store_days("run-10", 0, [change]))
        verdicts = {"counted": 5_009, "duplicate": 40, "rejected": 7, "invalid_traffic": 303}
        store.publish(replace(published(version=10), run_id="run-10"), staged, {"verdicts": verdicts}, {}, tally=TALLY)


def bills_of(*amounts: tuple[str, int]) -> list[PayeeBill]:
    found = [bill(payee_id, line(views=views)) for payee_id, views in amounts]
    return sorted(found, key=lambda each: each.payee_id)


def test_events_come_through_the_stages_as_the_journal_of_runs_tallies_them(url: str) -> None:
    assert (funnel(url).is_tallied, funnel(url).events) == (False, ())
    publish(url)
    found = funnel(url)
    assert {each.name: each.events for each in found.events} == {
        "received": 5_350,
        "accepted": 5_343,
        "counted": 5_303,
        "valid": 5_000,
        "billable": 4_200,
    }
    with closing(PostgresVersionStore(url)) as store:  # what `batch runs --json` prints
        (run, *_) = store.runs(1)
    of_others = 9
    assert found.events[0].events + of_others == sum(run.detail["verdicts"].values())
    assert found.events[1].without == {"rejected": run.detail["verdicts"]["rejected"]}
    assert (found.version, found.period) == (10, NOVEMBER)


def test_an_empty_book_has_no_money_and_no_changes(url: str) -> None:
    found = funnel(url)
    assert (found.money, found.before, found.changes) == ((), None, ())


def test_money_is_by_currency_what_the_list_of_statements_adds_up_to(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    limit = {"approval_limit_micros": 5_000_000}
    in_dollars = bills_of(("ann", 1_000), ("bob", 4_000), ("eve", 400), (SUSPENSE, 200))
    post_bills(run_of(NOVEMBER, **limit), (in_period(each, NOVEMBER) for each in in_dollars), books)
    (found,) = funnel(url).money
    assert found == MoneyStages("USD", 4, 5_600, 14_000_000, 0, 14_000_000, 10_000_000, 0, 500_000, 3_500_000, 0, 0, 0)
    (in_review,) = _ids(url, "bob")
    PostgresStates(connector(second_person(url), "viewledger_approver")).move(
        "statement", in_review, Move("held", "max", "looked at")
    )
    (held,) = funnel(url).money
    assert (held.waiting_micros, held.held_micros) == (0, 10_000_000)
    listing = PostgresListings(connector(url, "viewledger_api")).statements(
        StatementFilter(period=NOVEMBER), StatementOrder.PERIOD, RowRange(0, 100)
    )
    by_state = {each.state: each.amount_micros for each in listing.sums}
    assert by_state == {"finalised": held.suspense_micros + held.due_micros, "held": held.held_micros}
    assert sum(by_state.values()) == held.payable_micros


def test_views_that_are_not_billable_are_told_apart_as_the_statements_in_the_ledger_have_them(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    assert funnel(url).not_billable == {}
    outcomes = {"billable": 1_000, "duplicate": 4, "under_review": 5, "not_eligible": 30, "over_cap": 7}
    ann, bob = (in_period(bill(payee_id), NOVEMBER) for payee_id in ("ann", "bob"))
    bills = [replace(ann, outcomes=outcomes), replace(bob, outcomes={"billable": 1_000, "not_eligible": 3})]
    post_bills(run_of(NOVEMBER), bills, books)
    expected = {"not_eligible": 33, "over_cap": 7, "under_review": 5}
    assert list(funnel(url).not_billable.items()) == list(expected.items())
    again = run_of(NOVEMBER, approval_limit_micros=-1, restatement_number=1, cause="late", batch_version=4)
    more = in_period(bill("ann", line(views=1_005)), NOVEMBER)
    post_bills(again, [replace(more, outcomes={"billable": 1_005, "not_eligible": 30, "over_cap": 7})], books)
    assert funnel(url).not_billable == expected, "the restatement waits"


def test_a_restatement_is_counted_once_it_is_in_the_ledger(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    post_bills(run_of(NOVEMBER), [in_period(bill("ann"), NOVEMBER)], books)
    again = run_of(NOVEMBER, approval_limit_micros=-1, restatement_number=1, cause="late", batch_version=4)
    post_bills(again, [in_period(bill("ann", line(views=3_000)), NOVEMBER)], books)
    (waits,) = funnel(url).money
    assert (waits.earned_micros, waits.restated_count, waits.restated_micros) == (2_500_000, 0, 0)
    approver = PostgresStates(connector(second_person(url), "viewledger_approver"))
    approver.move("statement", _ids(url, "ann")[0], Move("approved", "max", "seen"))
    finalise_run(again.run_id, books)
    (posted,) = funnel(url).money
    assert (posted.statement_count, posted.earned_micros) == (1, 7_500_000)
    assert (posted.restated_count, posted.restated_micros) == (1, 5_000_000)


def test_the_largest_changes_are_those_of_payees_who_came_went_or_earned_otherwise(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    old = bills_of(("ann", 1_000), ("bob", 4_000), ("eve", 400))
    new = bills_of(("ann", 3_000), ("eve", 400), ("zoe", 20))
    post_bills(run_of(), (in_period(each, OCTOBER) for each in old), books)
    post_bills(run_of(NOVEMBER), (in_period(each, NOVEMBER) for each in new), books)
    found = funnel(url)
    assert found.before == OCTOBER
    assert [(each.payee_id, each.before_micros, each.now_micros) for each in found.changes] == [
        ("bob", 10_000_000, 0),
        ("ann", 2_500_000, 7_500_000),
        ("zoe", 0, 50_000),
    ]
    bob, ann, zoe = found.changes
    assert (zoe.before_id, bob.before_views, bob.now_views) == (None, 4_000, 0)
    assert [ann.now_id, ann.before_id] == _ids(url, "ann")


def test_the_page_begins_with_the_newest_billed_period(url: str) -> None:
    finance = PortalFinance(url, timedelta(hours=24), now=lambda: datetime(2026, 12, 3, tzinfo=UTC))
    books = PostgresBooks(connector(url, "viewledger_billing"))
    post_bills(run_of(), [in_period(bill("ann"), OCTOBER)], books)
    found = finance.funnel(None)
    assert (found.period, found.money[0].earned_micros) == (OCTOBER, 2_500_000)
    assert found.waiting == {"conflict": None, "late_event": None, "traffic_group": None}
    assert [each.earned_micros for each in finance.funnel(OCTOBER).money] == [2_500_000]
    assert finance.funnel(NOVEMBER).before == OCTOBER


def _ids(url: str, payee_id: str) -> list[str]:
    """The statements of a payee, newest first."""
    listing = PostgresListings(connector(url, "viewledger_api")).statements(
        StatementFilter(payee_id=payee_id), StatementOrder.PERIOD, RowRange(0, 10)
    )
    return [each.statement_id for each in listing.rows]
