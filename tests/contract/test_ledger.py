"""The contract of `billing.ports.Ledger`, on the fake and on a real PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.errors import PostingConflictError
from billing.ports import Ledger
from billing.postgres_ledger import PostgresLedger
from billing.postgres_session import connector
from ingestion.contract.periods import Period
from tests.billing_fakes import NOVEMBER, OCTOBER, FakeLedger, bill, line, run_of
from tests.billing_postgres import own_database


@pytest.fixture(params=["fake", "postgres"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "fake":
        yield FakeLedger()
    else:
        with own_database(request.getfixturevalue("postgres_url")) as url:
            yield PostgresLedger(connector(url))


def test_nothing_is_there_at_first(ledger: Ledger) -> None:
    assert ledger.totals() == []
    assert ledger.statement("ann", OCTOBER) is None


def test_a_statement_gives_back_what_was_posted(ledger: Ledger) -> None:
    bills = [bill("ann", line("video-a", 333, 1001), line("video-b", 7, 999, "US")), bill("bob")]
    posted = ledger.post(run_of(), bills).posted
    assert [each.payee_id for each in posted] == ["ann", "bob"]
    statement = ledger.statement("ann", OCTOBER)
    assert statement is not None
    assert statement.transaction == posted[0]
    assert (statement.batch_version, statement.catalogue_version, statement.contract_version) == (3, 1, 1)
    assert statement.calculated_at == run_of().calculated_at


def test_every_transaction_sums_to_zero(ledger: Ledger) -> None:
    for transaction in ledger.post(run_of(), [bill("ann"), bill("bob")]).posted:
        assert sum(entry.amount_micros for entry in transaction.entries) == 0


def test_posting_again_changes_nothing_and_says_so(ledger: Ledger) -> None:
    first = ledger.post(run_of(), [bill("ann"), bill("bob")])
    totals = ledger.totals()
    again = ledger.post(run_of(), [bill("bob"), bill("ann")])
    assert again.posted == ()
    assert [each.payee_id for each in again.replayed] == ["ann", "bob"]
    assert (again.amount_micros, again.carried_nanomicros) == (first.amount_micros, first.carried_nanomicros)
    assert ledger.totals() == totals


def test_a_preview_says_the_same_and_posts_nothing(ledger: Ledger) -> None:
    preview = ledger.preview(run_of(), [bill("ann")])
    assert ledger.totals() == []
    assert ledger.post(run_of(), [bill("ann")]) == preview


def test_the_remainder_is_carried_into_the_next_period_of_the_same_payee(ledger: Ledger) -> None:
    third = line("video-a", 1, 1333)
    october = ledger.post(run_of(OCTOBER), [bill("ann", third), bill("bob", line("video-b", 1, 400))]).posted
    november = ledger.post(run_of(NOVEMBER), [bill("ann", third)]).posted
    assert [(each.payee_id, each.amount_micros, each.carried_nanomicros_after) for each in october] == [
        ("ann", 1, 333_000_000),
        ("bob", 0, 400_000_000),
    ]
    assert (november[0].carried_nanomicros_before, november[0].carried_nanomicros_after) == (333_000_000, 666_000_000)
    assert november[0].payee_sequence == 2
    (totals,) = ledger.totals()
    assert (totals.payee_count, totals.transaction_count, totals.billable_views) == (2, 3, 3)
    assert (totals.amount_micros, totals.carried_nanomicros, totals.difference_nanomicros) == (2, 1_066_000_000, 0)


def test_each_currency_carries_its_own_remainder(ledger: Ledger) -> None:
    ledger.post(run_of(OCTOBER), [bill("ann", line(views=1, rate=700))])
    euros = ledger.post(run_of(NOVEMBER), [bill("ann", line(views=1, rate=600), currency="EUR")]).posted
    assert (euros[0].payee_sequence, euros[0].carried_nanomicros_before) == (1, 0)
    assert [(each.currency, each.carried_nanomicros) for each in ledger.totals()] == [
        ("EUR", 600_000_000),
        ("USD", 700_000_000),
    ]


def test_a_payee_who_joins_later_is_added_to_the_period(ledger: Ledger) -> None:
    ledger.post(run_of(), [bill("ann")])
    result = ledger.post(run_of(catalogue_version=2), [bill("ann"), bill("bob")])
    assert [each.payee_id for each in result.posted] == ["bob"]
    assert [each.payee_id for each in result.replayed] == ["ann"]


def test_a_conflict_of_one_payee_posts_nothing_for_anybody(ledger: Ledger) -> None:
    ledger.post(run_of(), [bill("zoe")])
    totals = ledger.totals()
    for act in (ledger.preview, ledger.post):
        with pytest.raises(PostingConflictError, match="payee zoe was billed"):
            act(run_of(batch_version=4), [bill("ann"), bill("zoe", line(views=999))])
    assert ledger.totals() == totals


@pytest.mark.parametrize("text", ["2026-10-31/2026-11-02", "2026-10-05/2026-10-06", "2026-09-01/2027-01-01"])
def test_a_period_that_shares_days_with_a_billed_one_is_refused(ledger: Ledger, text: str) -> None:
    ledger.post(run_of(OCTOBER), [bill("ann")])
    with pytest.raises(PostingConflictError, match="would be paid twice"):
        ledger.post(run_of(Period.parse(text)), [bill("bob")])


def test_an_empty_period_is_remembered_as_billed(ledger: Ledger) -> None:
    assert ledger.post(run_of(OCTOBER), []).posted == ()
    with pytest.raises(PostingConflictError, match="would be paid twice"):
        ledger.post(run_of(Period.parse("2026-10-05/2026-10-06")), [bill("bob")])


def test_four_runs_at_once_post_each_payee_once(ledger: Ledger) -> None:
    start = threading.Barrier(4)
    bills = [bill(f"payee-{index:03}", line(views=index + 1, rate=1001)) for index in range(200)]

    def post_at_once(_: int) -> int:
        start.wait()
        return len(ledger.post(run_of(), bills).posted)

    with ThreadPoolExecutor(4) as pool:
        posted = sorted(pool.map(post_at_once, range(4)))
    assert posted == [0, 0, 0, 200]
    (totals,) = ledger.totals()
    assert (totals.transaction_count, totals.difference_nanomicros) == (200, 0)


def test_runs_of_two_periods_at_once_keep_the_chain_of_remainders(ledger: Ledger) -> None:
    start = threading.Barrier(2)
    bills = [bill(f"payee-{index:03}", line(views=1, rate=333)) for index in range(100)]

    def post_at_once(period: Period) -> None:
        start.wait()
        ledger.post(run_of(period), bills)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(post_at_once, [OCTOBER, NOVEMBER]))
    (totals,) = ledger.totals()
    assert (totals.carried_nanomicros, totals.difference_nanomicros) == (66_600_000_000, 0)
