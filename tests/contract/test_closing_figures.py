"""What finance's page reads of a period, on a real PostgreSQL, with the rights of the API's role."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.book_ports import Estimate, WaitingItem
from billing.books.months import DUE, IN_SUSPENSE, NOTHING_DUE, PeriodWaits, StateSum
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_estimates import PostgresEstimates
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.postgres_waiting import PostgresWaiting
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.payouts.postgres_months import PostgresMonths
from billing.postgres_session import connector
from billing.terms.suspense import SUSPENSE
from billing.waiting import CONFLICT, LATE_EVENT, TRAFFIC_GROUP
from faults.postgres_database import administer
from ingestion.contract.periods import Period
from jobs.wiring.portal_finance import PortalFinance
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, line, run_of
from tests.billing_postgres import own_database
from tests.postgres_people import person, second_person

AT = datetime(2026, 10, 3, 4, 5, tzinfo=UTC)
COUNTED_AT = datetime(2026, 11, 5, tzinfo=UTC)
VERSION = """
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
VALUES (10, 'batch-10', '{}', '["2026-11-04T00:00:00+00:00", "2026-11-03T00:00:00+00:00"]', '{}', '{}', '{}',
        '{"2026-10-03": {"policy_version": 1, "catalogue_version": 1, "traffic": {"policy_version": 1}}}');
INSERT INTO published.pointer (version) VALUES (10);
"""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as url:
        yield url


def months(url: str) -> PostgresMonths:
    return PostgresMonths(connector(url, "viewledger_api"))


def waiting(url: str) -> PostgresWaiting:
    return PostgresWaiting(connector(url, "viewledger_api"))


def test_an_empty_book_has_figures(url: str) -> None:
    found = months(url).figures(OCTOBER)
    assert (found.batch_version, found.settled_until, found.reconciled_at) == (None, None, None)
    assert (found.statements, found.payments, found.suspense, found.estimates) == ((), (), (), ())
    assert (found.catalogue_version, found.contract_version) == (2, 2)
    assert waiting(url).counts() == {}


def test_the_current_version_says_how_far_it_is_settled_and_which_days_it_did_not_judge(url: str) -> None:
    administer(url, VERSION)
    found = months(url).figures(OCTOBER)
    assert (found.batch_version, found.settled_until) == (10, datetime(2026, 11, 3, tzinfo=UTC))
    assert found.unjudged_days == (date(2026, 10, 3),)
    assert months(url).figures(NOVEMBER).unjudged_days == ()


def test_versions_that_no_comparison_reached_are_named_as_a_billing_run_names_them(url: str) -> None:
    assert months(url).figures(OCTOBER).unreconciled_from == 1
    compared = "INSERT INTO published.reconciliations (version, kind, differences) VALUES (9, 'run', '[]')"
    administer(url, compared)
    found = months(url).figures(OCTOBER)
    assert (found.unreconciled_from, found.reconciled_at is None, found.difference) == (None, False, "")
    administer(url, VERSION)
    assert months(url).figures(OCTOBER).unreconciled_from == 10


def test_statements_are_summed_by_what_is_left_to_do(url: str) -> None:
    connect = connector(url, "viewledger_billing")
    books = PostgresBooks(connect)
    bills = [bill("ann"), bill("bob", line(views=4_000)), bill("eve", line(views=0)), bill(SUSPENSE)]
    bills.sort(key=lambda each: each.payee_id)
    post_bills(run_of(approval_limit_micros=5_000_000), (in_period(each, OCTOBER) for each in bills), books)
    found = months(url).figures(OCTOBER)
    assert found.statements == (
        StateSum(DUE, "USD", 1, 2_500_000),
        StateSum(IN_SUSPENSE, "USD", 1, 2_500_000),
        StateSum(NOTHING_DUE, "USD", 1, 0),
        StateSum("in_review", "USD", 1, 10_000_000),
    )
    assert found.suspense == (StateSum(SUSPENSE, "USD", 0, 2_500_000),)
    assert months(url).waiting() == [PeriodWaits(OCTOBER, 1, 0, 0)]
    (in_review,) = _statements(url, "bob")
    states = PostgresStates(connector(second_person(url), "viewledger_approver"))
    states.move("statement", in_review, Move("approved", "max"))
    assert months(url).waiting() == [PeriodWaits(OCTOBER, 0, 0, 1)]
    overlapping = months(url).figures(Period.parse("2026-10-20/2026-11-03")).overlapping
    assert overlapping == (OCTOBER,)
    assert months(url).figures(OCTOBER).overlapping == ()


def test_an_approver_compares_with_the_statement_in_the_ledger_before(url: str) -> None:
    books = PostgresBooks(connector(url, "viewledger_billing"))
    post_bills(run_of(), [in_period(bill("ann"), OCTOBER)], books)
    november = run_of(NOVEMBER, approval_limit_micros=0)
    both = [in_period(bill("ann", line(views=4_000)), NOVEMBER), in_period(bill("bob"), NOVEMBER)]
    post_bills(november, both, books)
    restated = run_of(approval_limit_micros=-1, restatement_number=1, cause="late events", batch_version=4)
    post_bills(restated, [in_period(bill("ann", line(views=2_000)), OCTOBER)], books)
    reader = PostgresStatements(connector(url, "viewledger_api"))
    waits = {(each.payee_id, each.period): each.statement_id for each, _ in reader.in_state("in_review")}
    assert len(waits) == 3
    assert reader.before(list(waits.values())) == {
        waits["ann", NOVEMBER]: (OCTOBER, 2_500_000),
        waits["ann", OCTOBER]: (OCTOBER, 2_500_000),
    }


def test_a_statement_leads_to_those_that_were_in_the_ledger_and_to_no_other(url: str) -> None:
    connect, reader = connector(url, "viewledger_billing"), PostgresStatements(connector(url, "viewledger_api"))
    books, approver = PostgresBooks(connect), PostgresStates(connector(second_person(url), "viewledger_approver"))
    post_bills(run_of(), [in_period(bill("ann"), OCTOBER)], books)
    for number, decided in ((1, "voided"), (2, "approved")):
        views, version = 1_000 + number, 3 + number
        run = run_of(approval_limit_micros=-1, restatement_number=number, cause="late", batch_version=version)
        post_bills(run, [in_period(bill("ann", line(views=views)), OCTOBER)], books)
        newest = _statements(url, "ann")[0]
        first = _statements(url, "ann")[-1]
        assert (reader.neighbours(newest), reader.neighbours(first)) == ((first, None), (None, None))
        approver.move("statement", newest, Move(decided, "max", "seen"))
        finalise_run(run.run_id, books)
    posted, void, first = _statements(url, "ann")
    assert [reader.neighbours(each) for each in (posted, void, first)] == [
        (first, None),
        (first, posted),
        (None, posted),
    ]
    steps = reader.steps([void, first])
    assert [each.to_state for each in steps[void]] == ["calculated", "in_review", "voided"]
    assert "finalised" in [each.to_state for each in steps[first]]
    assert reader.steps([]) == {}
    november = run_of(NOVEMBER, approval_limit_micros=0)
    for version in (5, 6):
        bills = [in_period(bill("ann", line(views=version)), NOVEMBER)]
        post_bills(replace(november, batch_version=version), bills, books)
    replacing, replaced, *_ = _statements(url, "ann")
    assert (reader.neighbours(replacing), reader.neighbours(replaced)) == ((None, None), (None, None))


def _statements(url: str, payee_id: str) -> list[str]:
    found = PostgresStatements(connector(url, "viewledger_api")).of_payee(payee_id)
    return [statement.statement_id for statement, _ in found]


def test_holds_and_estimates_are_summed_by_currency(url: str) -> None:
    connect = connector(url, "viewledger_billing")
    post_bills(run_of(), [in_period(bill("ann"), OCTOBER)], PostgresBooks(connect))
    now = datetime.now(UTC)
    PostgresHolds(connect).place("ann", "USD", 500_000, now + timedelta(days=3), Move("pending", "fay", "disputed"))
    estimates = [Estimate("ann", "USD", 5, 2), Estimate("bob", "USD", 7, 3), Estimate("bea", "EUR", 1, 1)]
    PostgresEstimates(connect).replace(NOVEMBER, estimates, 3, COUNTED_AT)
    assert months(url).figures(OCTOBER).holds == (StateSum("pending", "USD", 1, 500_000),)
    found = months(url).figures(NOVEMBER)
    assert found.estimates == (StateSum("estimated", "EUR", 1, 1), StateSum("estimated", "USD", 5, 12))
    assert (found.estimated_at, found.estimated_version) == (COUNTED_AT, 3)


def _items(*places: str) -> list[WaitingItem]:
    return [WaitingItem(each, AT, COUNTED_AT, video_id="v", event_id="e", remark="a\tb") for each in places]


def test_what_waits_is_replaced_and_less_what_was_decided_since(url: str) -> None:
    connect = connector(url, "viewledger_billing")
    kept = PostgresWaiting(connect)
    kept.replace(CONFLICT, _items("0:9"), 1, batch_version=2, counted_at=COUNTED_AT)
    kept.replace(CONFLICT, _items("0:1", "0:2"), 2, batch_version=3, counted_at=COUNTED_AT)
    kept.replace(LATE_EVENT, _items("0:1"), 40, batch_version=3, counted_at=COUNTED_AT)
    states = PostgresStates(connector(second_person(url), "viewledger_approver"))
    states.move("conflict", "0:2", Move("first_kept", "max", "seen"))
    found = waiting(url).counts()
    assert {kind: each.of(OCTOBER) for kind, each in found.items()} == {CONFLICT: (1, 1), LATE_EVENT: (1, 1)}
    assert {kind: each.unlisted_count for kind, each in found.items()} == {CONFLICT: 0, LATE_EVENT: 39}
    assert found[CONFLICT].of(NOVEMBER) == (0, 0)
    assert waiting(url).listed(CONFLICT, OCTOBER, 10) == _items("0:1")
    assert waiting(url).listed(CONFLICT, NOVEMBER, 10) == []
    assert waiting(url).listed(LATE_EVENT, None, 10) == _items("0:1")


def test_a_group_that_was_decided_waits_no_more(url: str) -> None:
    names = ("2026-10-03/many/ann/2-1f1f1f1f1f1f", "2026-10-03/many/ann/3-1f1f1f1f1f1f")
    items = [WaitingItem(each, AT, event_count=2, payee_id="ann") for each in names]
    kept = PostgresWaiting(connector(url, "viewledger_billing"))
    kept.replace(TRAFFIC_GROUP, items, 2, batch_version=3, counted_at=COUNTED_AT)
    with person(url, "viewledger_reviewer") as reviewer:
        administer(
            reviewer,
            "INSERT INTO billing.traffic_decisions (event_day, rule, payee_id, event_count, set_hash, outcome, actor, "
            f"reason) VALUES ('2026-10-03', 'many', 'ann', 2, '{'1f' * 16}', 'released', 'max', 'seen')",
        )
    assert [each.subject_id for each in waiting(url).listed(TRAFFIC_GROUP, None, 10)] == [names[1]]


def test_the_page_begins_with_the_oldest_month_that_is_not_billed(url: str) -> None:
    connect = connector(url, "viewledger_billing")
    finance = PortalFinance(url, timedelta(hours=24), now=lambda: datetime(2026, 12, 3, tzinfo=UTC))
    assert finance.closing(None).period == NOVEMBER
    post_bills(run_of(), [in_period(bill("ann"), OCTOBER)], PostgresBooks(connect))
    elsewhere = datetime(2025, 1, 1, tzinfo=UTC)
    PostgresWaiting(connect).replace(
        LATE_EVENT,
        [*_items("0:1"), WaitingItem("0:2", elsewhere)],
        2,
        batch_version=3,
        counted_at=COUNTED_AT,
    )
    month = finance.closing(None)
    assert (month.period, month.is_billed) == (NOVEMBER, False)
    assert [(str(row.period), row.is_billed, row.late_events) for row in month.periods] == [
        ("2026-12-01/2027-01-01", False, 0),
        ("2026-11-01/2026-12-01", False, 0),
        ("2026-10-01/2026-11-01", True, 1),
        ("None", False, 1),
    ]
    october = finance.closing(OCTOBER)
    assert october.is_billed
    assert {each.name: each.count for each in october.checks}["late_events"] == 1
    assert {each.name: each.state for each in october.steps}["pay"] == "waits"
    page = finance.waiting(LATE_EVENT, OCTOBER)
    assert (len(page.rows), page.count, page.version) == (1, 1, 3)
    assert finance.waiting(LATE_EVENT, None).count == 2
    assert finance.waiting(CONFLICT, None).version is None
