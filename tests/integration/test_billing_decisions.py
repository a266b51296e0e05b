"""A person's decision is stored once, even if the connection breaks during its commit."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import post_bills
from billing.books.states import Move
from billing.errors import StateError
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import Connect, connector
from ingestion.contract.requests import OpenAppealError
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.cutting_proxy import AT, At, cutting_proxy
from tests.postgres_people import second_person

EVER = datetime(9999, 1, 1, tzinfo=UTC)
BILLING, APPROVER = "viewledger_billing", "viewledger_approver"
DAY = datetime.now(UTC).date() + timedelta(days=1)
BATCH = f"VL-USD-{DAY:%Y%m%d}-1"


def at_once(_seconds: float) -> None:
    """Waits for nothing: the ledger's lock does."""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """Books in which ann is owed something for October, is to be approved for November, and objects to October."""
    with own_database(postgres_url) as own:
        connect = connector(own, BILLING)
        books, holds, payouts = PostgresBooks(connect), PostgresHolds(connect), PostgresPayouts(connect)
        post_bills(run_of(), [bill("ann", line(views=10_000))], books)
        post_bills(
            run_of(NOVEMBER, approval_limit_micros=-1), [in_period(bill("ann", line(views=10)), NOVEMBER)], books
        )
        holds.place("ann", "USD", 1_000_000, EVER, Move("pending", "eve", "odd"))
        holds.appeal(statement_id(own), "I had more", "ann")
        payouts.import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000")], "eve")
        put_in_force(own)
        payouts.create_batch("USD", DAY, lambda _: 0, "eve")
        yield own


def statement_id(url: str) -> str:
    found = PostgresStatements(connector(url)).statement("ann", OCTOBER)
    assert found is not None
    return found.statement.statement_id


def subject_of(url: str, kind: str) -> str:
    connect = connector(url)
    if kind == "hold":
        return PostgresHolds(connect).holds()[0].hold_id
    if kind == "appeal":
        return PostgresHolds(connect).appeals()[0].appeal_id
    if kind == "statement":
        found = PostgresStatements(connect).statement("ann", NOVEMBER)
        assert found is not None
        return found.statement.statement_id
    return BATCH


def decide_hold(connect: Connect, hold_id: str, move: Move) -> None:
    PostgresHolds(connect, sleep=at_once).decide(hold_id, move, datetime.now(UTC))


def decide_appeal(connect: Connect, appeal_id: str, move: Move) -> None:
    PostgresHolds(connect, sleep=at_once).decide_appeal(appeal_id, move)


def decide_statement(connect: Connect, statement: str, move: Move) -> None:
    PostgresStates(connect, sleep=at_once).move("statement", statement, move)


def approve_payout(connect: Connect, batch_id: str, move: Move) -> None:
    assert PostgresPayoutSteps(connect, sleep=at_once).approve(batch_id, move) == 1


def void_payout(connect: Connect, batch_id: str, move: Move) -> None:
    assert PostgresPayoutSteps(connect, sleep=at_once).void(batch_id, move) == 1


Decide = Callable[[Connect, str, Move], None]
DECISIONS: list[tuple[str, str, str, Decide]] = [
    ("hold", "released", BILLING, decide_hold),
    ("hold", "voided", BILLING, decide_hold),
    ("appeal", "rejected", BILLING, decide_appeal),
    ("statement", "approved", APPROVER, decide_statement),
    ("payout_batch", "approved", APPROVER, approve_payout),
    ("payout_batch", "voided", BILLING, void_payout),
]


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize(("kind", "to_state", "role", "decide"), DECISIONS)
def test_a_decision_whose_commit_was_not_answered_is_answered_by_what_is_stored(
    url: str, kind: str, to_state: str, role: str, decide: Decide, at: At
) -> None:
    subject, move = subject_of(url, kind), Move(to_state, "max", "looked at")
    login = second_person(url) if role == APPROVER else url
    with cutting_proxy(login, number=1, at=at) as proxy:
        decide(connector(proxy.url, role), subject, move)
    assert proxy.cuts == 1
    decide(connector(login, role), subject, move)
    steps = PostgresStates(connector(url)).transitions(kind, subject)
    assert [(each.to_state, each.actor) for each in steps[-1:]] == [(to_state, "max")]
    assert len(steps) == 2 + (kind == "statement"), "stored once"
    books = PostgresBooks(connector(url))
    balances = {each.account: each.balance_micros for each in books.balances(posted_before=EVER, effective_until=EVER)}
    assert sum(balances.values()) == 0
    taken_back = {("hold", "voided"): 1_000_000, ("payout_batch", "voided"): -24_000_000}
    assert balances["payable:ann"] == taken_back.get((kind, to_state), 0) - 1_000_000
    with pytest.raises(StateError, match=f"is {to_state} and cannot become"):
        decide(connector(login, role), subject, Move(to_state, "zoe", "looked at"))


def test_a_statement_has_one_open_appeal_even_if_two_appeal_at_the_same_time(url: str) -> None:
    holds = PostgresHolds(connector(url, BILLING))
    (first,) = holds.appeals()
    with pytest.raises(OpenAppealError, match=f"has an open appeal already \\({first.appeal_id}\\)"):
        holds.appeal(first.statement_id, "and another thing", "ann")
    holds.decide_appeal(first.appeal_id, Move("rejected", "max", "the evidence says otherwise"))

    def appeal(number: int) -> bool:
        try:
            PostgresHolds(connector(url, BILLING)).appeal(first.statement_id, f"again {number}", "ann")
        except OpenAppealError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(appeal, range(4))) == [False, False, False, True]
    assert [each.state for each in holds.appeals()] == ["received", "rejected"]
