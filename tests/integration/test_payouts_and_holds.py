"""Payouts and holds on a real PostgreSQL, from the balance to the bank's answer, as a user runs them."""

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from billing.books.book_ports import Estimate
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_estimates import PostgresEstimates
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.errors import AcknowledgementError, StateError
from billing.payouts.answers import Acknowledgement, Answer, BatchAcknowledgement
from billing.payouts.bank_data import BankAccount
from billing.payouts.payouts import item_id_of
from billing.payouts.postgres_listed_batches import ListedBatch, listed_batches
from billing.payouts.postgres_payee_money import HELD_OF_PAYEE, PAYMENTS_OF_PAYEE
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from faults.postgres_database import administer
from ingestion.contract.periods import Period
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.wiring.portal_earnings import PayeeEarnings
from serving_layer.portal.earnings_records import BalanceRow, EstimateRow, PayeeMoney
from tests.billing_fakes import OCTOBER, bill, card_of, contracts_of, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import second_person

DAY = datetime.now(UTC).date() + timedelta(days=3)
BATCH = f"VL-EUR-{DAY:%Y%m%d}-1"
EVER = datetime(9999, 1, 1, tzinfo=UTC)
LATER = datetime.combine(DAY, time(0), UTC) + timedelta(days=30)
"""A hold expires then."""


@dataclass
class Treasury:
    """Books in which ann is owed 25, bob 2.50 and zoe nothing, in EUR; ann and bob have bank accounts."""

    url: str

    def __post_init__(self) -> None:
        connect = connector(self.url, "viewledger_billing")
        self.books, self.payouts, self.holds = PostgresBooks(connect), PostgresPayouts(connect), PostgresHolds(connect)
        self.statements = PostgresStatements(connect)
        self.steps = PostgresPayoutSteps(connect)
        self.approver = PostgresPayoutSteps(connector(second_person(self.url), "viewledger_approver"))

    def balance(self, account: str) -> int:
        balances = self.books.balances(posted_before=EVER, effective_until=EVER)
        assert sum(each.balance_micros for each in balances) == 0
        return sum(each.balance_micros for each in balances if each.account == account)

    def pay(self, **minimums: int) -> tuple[list[str], list[str]]:
        """Make a batch; return who is paid and who is left."""
        items, left = self.payouts.create_batch("EUR", DAY, lambda payee_id: minimums.get(payee_id, 0), "eve")
        return [item.payee_id for item in items], [payee_id for payee_id, _ in left]

    def batches(self) -> list[ListedBatch]:
        return listed_batches(connector(self.url, "viewledger_billing"))

    def send(self, batch_id: str = BATCH) -> None:
        """Let another person approve a batch, and note that its file is written."""
        self.approver.approve(batch_id, Move("approved", "max"))
        self.steps.write(batch_id, "eve")

    def acknowledge(self, outcome: str, payee_id: str = "ann", amount_micros: int = 25_000_000) -> dict[str, int]:
        batch = self.payouts.batch(BATCH)
        assert batch is not None
        (item,) = (item for item in batch.items if item.payee_id == payee_id)
        line_ = Acknowledgement(item.item_id, outcome, amount_micros, "EUR", "said so", "line 2")
        return self.payouts.acknowledge(Answer((line_,)), "eve")

    def state(self, payee_id: str) -> str:
        found = self.statements.statement(payee_id, OCTOBER)
        return found.state if found else ""


@pytest.fixture
def treasury(postgres_url: str) -> Iterator[Treasury]:
    with own_database(postgres_url) as url:
        treasury = Treasury(url)
        bills = [bill("ann", line(views=10_000), currency="EUR"), bill("bob", line(views=1000), currency="EUR")]
        post_bills(run_of(currency="EUR"), bills, treasury.books)
        accounts = [
            BankAccount("ann", "Ann", "DE89370400440532013000"),
            BankAccount("bob", "Bob", "GB82WEST12345698765432"),
        ]
        assert treasury.payouts.import_accounts(accounts, "eve") == 2
        assert treasury.payouts.import_accounts(accounts, "eve") == 0
        put_in_force(url)
        yield treasury


def test_what_is_instructed_leaves_the_balance_and_is_never_instructed_again(treasury: Treasury) -> None:
    assert treasury.pay() == (["ann", "bob"], [])
    assert (treasury.balance("payable:ann"), treasury.balance("clearing:payouts")) == (0, -27_500_000)
    assert treasury.pay() == ([], [])
    assert treasury.payouts.differences(None) == []


def test_a_payee_sees_their_money_with_the_rights_of_the_api_and_no_account_whole(treasury: Treasury) -> None:
    earnings = PayeeEarnings(treasury.url)
    assert earnings.money("nobody") == PayeeMoney((), (), None)
    assert earnings.money("ann") == PayeeMoney((BalanceRow("EUR", (("statement", 25_000_000),), 0),), (), "DE…3000")
    treasury.holds.place("ann", "EUR", 5_000_000, LATER, Move("pending", "eve", "looks odd"))
    treasury.pay()
    (instructed,) = earnings.money("ann").payouts
    assert (instructed.amount_micros, instructed.execution_on, instructed.account) == (20_000_000, DAY, "DE…3000")
    assert (instructed.progress, instructed.booked_on) == ("waits for a second person", None)
    treasury.send()
    treasury.acknowledge("rejected", amount_micros=20_000_000)
    money = earnings.money("ann")
    assert money.payouts[0].progress == "not carried out by the bank, owed again"
    (balance,) = money.balances
    parts = {"payout": -20_000_000, "payout_rejected": 20_000_000, "statement": 25_000_000}
    assert (dict(balance.parts), balance.amount_micros, balance.held_micros) == (parts, 25_000_000, 5_000_000)
    assert {each.account for each in earnings.money("bob").payouts} == {"GB…5432"}, "nobody else's"
    period, made_at = Period(date(2026, 11, 1), date(2026, 12, 1)), datetime.now(UTC)
    estimated = Estimate("ann", "EUR", 1_234_567, 800)
    PostgresEstimates(connector(treasury.url, "viewledger_billing")).replace(period, [estimated], 1, made_at)
    assert earnings.estimates("ann") == [EstimateRow(period.start_on, period.end_on, "EUR", 1_234_567, 800, made_at)]
    assert earnings.estimates("bob") == []
    for billed in (OCTOBER, Period(date(2026, 9, 20), date(2026, 10, 2))):
        PostgresEstimates(connector(treasury.url, "viewledger_billing")).replace(billed, [estimated], 1, made_at)
    assert [each.period_start_on for each in earnings.estimates("ann")] == [period.start_on], "no billed day has one"


def test_the_page_of_one_payee_reads_no_steps_of_others(treasury: Treasury) -> None:
    """Without the choice of a scan of the whole table, every access to the steps is by the subject's id."""
    treasury.holds.place("ann", "EUR", 5_000_000, LATER, Move("pending", "eve", "looks odd"))
    treasury.pay()
    with closing(psycopg2.connect(treasury.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        for query in (PAYMENTS_OF_PAYEE, HELD_OF_PAYEE):
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query}", {"payee": "ann", "most": 100})
            (plan,) = cursor.fetchall()
            scans = [each for each in _nodes(plan[0][0]["Plan"]) if each.get("Relation Name") == "transitions"]
            assert scans
            assert not [each for each in scans if "subject_id = " not in each.get("Index Cond", "")], query


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def test_a_minimum_is_rolled_over(treasury: Treasury) -> None:
    assert treasury.pay(bob=2_500_001) == (["ann"], ["bob"])
    assert treasury.balance("payable:bob") == -2_500_000
    assert treasury.pay(bob=2_500_000) == (["bob"], [])


def test_a_settled_payment_is_paid_from_the_bank_and_its_statement_is_paid(treasury: Treasury) -> None:
    treasury.pay()
    treasury.send()
    assert treasury.acknowledge("settled") == {"settled": 1}
    assert (treasury.balance("bank"), treasury.balance("clearing:payouts")) == (-25_000_000, -2_500_000)
    assert (treasury.state("ann"), treasury.state("bob")) == ("paid", "finalised")
    assert treasury.acknowledge("settled") == {}, "the same file again says nothing new"
    assert treasury.balance("bank") == -25_000_000
    assert treasury.payouts.differences(None) == []


def test_a_rejected_payment_is_owed_again_and_goes_into_the_next_batch(treasury: Treasury) -> None:
    treasury.pay()
    treasury.send()
    assert treasury.acknowledge("rejected") == {"rejected": 1}
    assert (treasury.balance("payable:ann"), treasury.balance("bank")) == (-25_000_000, 0)
    assert treasury.pay() == (["ann"], [])
    assert [each.batch_id for each in treasury.batches()] == [
        BATCH,
        BATCH,
        f"{BATCH[:-1]}2",
    ]


def test_a_returned_payment_is_owed_again(treasury: Treasury) -> None:
    treasury.pay()
    treasury.send()
    treasury.acknowledge("settled")
    assert treasury.acknowledge("returned") == {"returned": 1}
    assert treasury.acknowledge("settled") == {}, "an older file has nothing new"
    assert (treasury.balance("payable:ann"), treasury.balance("bank")) == (-25_000_000, 0)
    assert treasury.payouts.differences(None) == []


def test_a_line_that_differs_posts_nothing(treasury: Treasury) -> None:
    treasury.pay()
    treasury.send()
    with pytest.raises(AcknowledgementError, match=r"the bank says 24\.000000 EUR, the ledger 25\.000000 EUR"):
        treasury.acknowledge("settled", amount_micros=24_000_000)
    assert treasury.balance("bank") == 0


def test_a_payment_that_the_ledger_does_not_hold_and_one_too_many_are_both_found(treasury: Treasury) -> None:
    treasury.pay()
    connection = psycopg2.connect(treasury.url)
    with connection, connection.cursor() as cursor:
        for table in ("entries", "transactions"):
            cursor.execute(f"ALTER TABLE billing.{table} DISABLE TRIGGER {table}_append_only")
        cursor.execute(
            "UPDATE billing.entries SET amount_micros = amount_micros - 1 "
            "WHERE account = 'payable:ann' AND amount_micros > 0"
        )
        cursor.execute(
            "UPDATE billing.transactions SET idempotency_key = 'payout:gone' WHERE payee_id = 'bob' AND kind = 'payout'"
        )
    connection.close()
    found = "\n".join(treasury.payouts.differences(None))
    assert "payee ann" in found
    assert "payable should hold 25000000 micros EUR and holds 24999999: -1" in found
    assert "payee bob" in found
    assert "clearing:payouts should hold -2500000 micros EUR and holds 0: +2500000" in found
    assert "(payout:gone) of payee bob: nothing causes it" in found


def test_a_batch_is_approved_by_somebody_else_and_only_then_written(treasury: Treasury) -> None:
    treasury.pay()
    with pytest.raises(StateError, match=f"{BATCH} is not approved"):
        treasury.steps.write(BATCH, "eve")
    with pytest.raises(StateError, match="was made by eve; someone else must approve it"):
        treasury.approver.approve(BATCH, Move("approved", "eve"))
    with pytest.raises(StateError, match="was made by the login viewledger; another login must approve it"):
        treasury.steps.approve(BATCH, Move("approved", "max"))
    assert treasury.approver.approve(BATCH, Move("approved", "max")) == 2
    assert treasury.approver.approve(BATCH, Move("approved", "max")) == 2, "the same again is answered as it stands"
    with pytest.raises(StateError, match="is approved and cannot become approved"):
        treasury.approver.approve(BATCH, Move("approved", "zoe"))
    for _ in range(2):
        treasury.steps.write(BATCH, "eve")
    assert [each.batch_state for each in treasury.batches()] == ["written"]
    with pytest.raises(StateError, match="there is no payout batch 'X'"):
        treasury.approver.approve("X", Move("approved", "max"))


@pytest.mark.parametrize("is_approved", [False, True])
def test_a_batch_that_is_voided_in_time_is_owed_again_once(treasury: Treasury, is_approved: bool) -> None:
    treasury.pay()
    if is_approved:
        treasury.approver.approve(BATCH, Move("approved", "max"))
    assert treasury.steps.void(BATCH, Move("voided", "eve", "the wrong day")) == 2
    assert (treasury.balance("payable:ann"), treasury.balance("clearing:payouts")) == (-25_000_000, 0)
    assert treasury.steps.void(BATCH, Move("voided", "eve", "the wrong day")) == 2, "the same again changes nothing"
    with pytest.raises(StateError, match="is voided and cannot become voided"):
        treasury.steps.void(BATCH, Move("voided", "eve", "again"))
    with pytest.raises(StateError, match="is voided and cannot become written"):
        treasury.steps.write(BATCH, "eve")
    with pytest.raises(AcknowledgementError, match="is voided and cannot become settled"):
        treasury.acknowledge("settled")
    assert treasury.pay() == (["ann", "bob"], [])
    assert (treasury.balance("payable:ann"), treasury.payouts.differences(None)) == (0, [])


def test_a_batch_whose_file_was_written_is_not_voided(treasury: Treasury) -> None:
    treasury.pay()
    treasury.send()
    with pytest.raises(StateError, match="was written and may be at the bank"):
        treasury.steps.void(BATCH, Move("voided", "eve", "too late"))
    assert treasury.balance("payable:ann") == 0


def test_the_bank_cannot_answer_for_a_file_that_was_never_written(treasury: Treasury) -> None:
    treasury.pay()
    with pytest.raises(AcknowledgementError, match="is unsent and cannot become settled"):
        treasury.acknowledge("settled")
    assert treasury.balance("bank") == 0


@pytest.fixture
def maker(treasury: Treasury, postgres_url: str) -> Iterator[str]:
    """The URL of a login that bills and approves nothing."""
    name = f"maker_{secrets.token_hex(4)}"
    administer(postgres_url, f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE viewledger_billing")
    yield f"postgresql://{name}:x@{treasury.url.rpartition('@')[2]}"
    administer(postgres_url, f"DROP ROLE {name}")


def test_a_login_without_the_role_of_the_approver_approves_nothing_whatever_name_it_gives(
    treasury: Treasury, maker: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    treasury.pay()
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", maker)
    assert main(["billing", "payouts", "list"]) == ExitCode.OK
    for words in (["payouts", "approve", "--batch", BATCH], ["statements", "approve", "--period", "2026-10"]):
        capsys.readouterr()
        assert main(["billing", *words, "--actor", "max"]) == ExitCode.REFUSED
        error = capsys.readouterr().err
        assert "this login of PostgreSQL may not act as viewledger_approver; name a login" in error
    assert [each.batch_state for each in treasury.batches()] == ["made"]


STEP = (
    "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) VALUES "
)


@pytest.mark.parametrize(
    ("role", "step", "reason"),
    [
        ("billing", f"('payout_batch', '{BATCH}', 1, 'made', 'written', 'max')", "from_state_to_state_fkey"),
        ("approver", f"('payout_batch', '{BATCH}', 1, 'made', 'approved', 'run')", "was made by eve"),
        ("approver", f"('payout_batch', '{BATCH}', 1, 'made', 'voided', 'max')", "becomes voided only in the role"),
        ("approver", "('payout', '{zoe}', 0, 'open', 'instructed', 'max')", "there is no payout"),
        ("billing", "('payout', '{ann}', 1, 'instructed', 'voided', 'max')", f"its batch {BATCH} is made"),
        ("billing", "('payout', '{ann}', 1, 'instructed', 'settled', 'max')", f"its batch {BATCH} is made"),
    ],
)  # fmt: skip
def test_the_database_itself_refuses_what_is_not_the_next_step_of_a_payout(
    treasury: Treasury, role: str, step: str, reason: str
) -> None:
    treasury.pay()
    url = treasury.url if role == "billing" else second_person(treasury.url)
    connection = psycopg2.connect(url, options=f"-c role=viewledger_{role}")
    with connection.cursor() as cursor, pytest.raises(psycopg2.Error, match=reason):
        cursor.execute(STEP + step.replace("{ann}", item_id_of(BATCH, "ann")))
    connection.close()


def test_a_batch_is_closed(treasury: Treasury) -> None:
    treasury.pay()
    connection = psycopg2.connect(treasury.url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing.bank_accounts VALUES ('zoe', 1, 'Zoe', 'DE89370400440532013000', NULL, 'e')"
        )
    put_in_force(treasury.url)
    late = f"INSERT INTO billing.payout_items VALUES (repeat('0', 32), '{BATCH}', 'zoe', 1, 5)"
    with connection.cursor() as cursor, pytest.raises(psycopg2.Error, match="the payout batch is already made"):
        cursor.execute(late)
    connection.close()


@pytest.mark.parametrize("role", ["approver", "api"])
def test_bank_data_is_not_for_everybody(treasury: Treasury, role: str) -> None:
    connection = psycopg2.connect(treasury.url, options=f"-c role=viewledger_{role}")
    with (
        pytest.raises(psycopg2.Error, match="permission denied for table bank_accounts"),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM billing.bank_accounts")
    connection.close()


def hold(treasury: Treasury, amount_micros: int, expires_at: datetime) -> str:
    return treasury.holds.place("ann", "EUR", amount_micros, expires_at, Move("pending", "eve", "looks odd"))


def test_a_held_amount_is_not_paid_until_it_is_released(treasury: Treasury) -> None:
    hold_id = hold(treasury, 20_000_000, LATER)
    assert treasury.pay() == (["ann", "bob"], [])
    assert treasury.balance("payable:ann") == -20_000_000
    treasury.holds.decide(hold_id, Move("released", "max", "fine"), datetime.now(UTC))
    assert treasury.pay() == (["ann"], [])
    with pytest.raises(StateError, match="is released and cannot become voided"):
        treasury.holds.decide(hold_id, Move("voided", "max"), datetime.now(UTC))


def test_a_voided_hold_is_no_longer_owed(treasury: Treasury) -> None:
    hold_id = hold(treasury, 20_000_000, LATER)
    treasury.holds.decide(hold_id, Move("voided", "max", "fraud"), datetime.now(UTC))
    assert (treasury.balance("payable:ann"), treasury.balance("expense:creator-revenue")) == (-5_000_000, 7_500_000)


def test_a_hold_whose_time_is_over_keeps_nothing_back(treasury: Treasury) -> None:
    hold_id = hold(treasury, 25_000_000, datetime.now(UTC) + timedelta(days=1))
    later = datetime.now(UTC) + timedelta(days=2)
    with pytest.raises(StateError, match="expired at"):
        treasury.holds.decide(hold_id, Move("voided", "max"), later)
    assert (treasury.holds.expire(datetime.now(UTC)), treasury.holds.expire(later), treasury.holds.expire(later)) == (
        0,
        1,
        0,
    )
    assert [each.state for each in treasury.holds.holds("ann")] == ["expired"]
    assert treasury.pay() == (["ann", "bob"], [])


def restate(treasury: Treasury, views: int) -> None:
    """Let October be worth less (or more) to ann than it was, by a restatement that another person approved."""
    restated = run_of(currency="EUR", restatement_number=1, cause="late events", batch_version=4)
    bills = [bill("ann", line(views=views), currency="EUR"), bill("bob", line(views=1000), currency="EUR")]
    post_bills(restated, bills, treasury.books)
    states = PostgresStates(connector(second_person(treasury.url), "viewledger_approver"))
    for statement, _ in treasury.statements.in_state("in_review"):
        states.move("statement", statement.statement_id, Move("approved", "max"))
    finalise_run(restated.run_id, treasury.books)


def test_a_balance_that_a_restatement_made_negative_is_carried_forward(treasury: Treasury) -> None:
    treasury.pay()
    restate(treasury, views=8000)
    items, left = treasury.payouts.create_batch("EUR", DAY, lambda _: 0, "eve")
    assert (items, left) == ([], [("ann", "-5.000000 EUR is carried forward")])
    assert treasury.payouts.differences(None) == []


@pytest.mark.parametrize("day", [date(2020, 1, 1), DAY - timedelta(days=4), DAY + timedelta(days=400)])
def test_a_payout_is_not_dated_back_nor_far_ahead(treasury: Treasury, day: date) -> None:
    with pytest.raises(StateError, match=rf"cannot be executed on {day}; choose a day from .* \(today, UTC\) to"):
        treasury.payouts.create_batch("EUR", day, lambda _: 0, "eve")
    assert treasury.balance("clearing:payouts") == 0


def test_a_payment_is_undone_no_earlier_than_it_was_to_be_made(treasury: Treasury) -> None:
    """So that the books of a day in between owe what they should."""
    treasury.pay()
    treasury.steps.void(BATCH, Move("voided", "eve", "the wrong day"))
    for days in (-1, 0, 1):
        until = datetime.combine(DAY, time(), UTC) + timedelta(days=days)
        balances = treasury.books.balances(posted_before=EVER, effective_until=until)
        assert sum(each.balance_micros for each in balances if each.account == "payable:ann") == -25_000_000


@pytest.mark.parametrize(
    ("payee_id", "currency", "amount_micros", "reason"),
    [
        ("ann", "EUR", 25_000_001, r"25\.000000 EUR, of which 0\.000000 EUR is on hold: less than 25\.000001 EUR"),
        ("ann", "USD", 1, "payee 'ann' was never owed anything in USD"),
        ("nobody", "EUR", 1, "payee 'nobody' was never owed anything in EUR"),
    ],
)  # fmt: skip
def test_more_than_is_owed_is_not_put_on_hold(
    treasury: Treasury, payee_id: str, currency: str, amount_micros: int, reason: str
) -> None:
    move = Move("pending", "eve", "looks odd")
    with pytest.raises(StateError, match=reason):
        treasury.holds.place(payee_id, currency, amount_micros, LATER, move)
    assert treasury.holds.holds() == [], "nothing is kept of a hold that was refused"


def test_what_is_on_hold_is_not_put_on_hold_again_until_it_is_released(treasury: Treasury) -> None:
    first = hold(treasury, 20_000_000, LATER)
    with pytest.raises(StateError, match=r"of which 20\.000000 EUR is on hold: less than 5\.000001 EUR is left"):
        hold(treasury, 5_000_001, LATER)
    hold(treasury, 5_000_000, LATER)
    treasury.holds.decide(first, Move("released", "max", "fine"), datetime.now(UTC))
    hold(treasury, 20_000_000, LATER)
    assert treasury.pay() == (["bob"], ["ann"])


def test_a_hold_of_which_less_is_owed_by_now_is_not_voided(treasury: Treasury) -> None:
    hold_id = hold(treasury, 25_000_000, LATER)
    restate(treasury, views=4000)
    with pytest.raises(StateError, match=r"owed 10\.000000 EUR by now, and hold \w+ is 25\.000000 EUR; release it"):
        treasury.holds.decide(hold_id, Move("voided", "max", "fraud"), datetime.now(UTC))
    assert treasury.holds.holds("ann")[0].state == "pending"
    assert treasury.balance("payable:ann") == -10_000_000


@pytest.mark.parametrize(("outcome", "balance", "bank"), [("rejected", -25_000_000, 0), ("settled", 0, -27_500_000)])
def test_what_the_bank_says_of_the_whole_batch_is_of_every_payment(
    treasury: Treasury, outcome: str, balance: int, bank: int
) -> None:
    treasury.pay()
    treasury.send()
    answer = Answer(batches=(BatchAcknowledgement(BATCH, outcome, "FF01", "top", 2, 27_500_000),))
    assert treasury.payouts.acknowledge(answer, "eve") == {outcome: 2}
    assert treasury.payouts.acknowledge(answer, "eve") == {}, "the same file again says nothing new"
    assert (treasury.balance("payable:ann"), treasury.balance("bank")) == (balance, bank)
    assert treasury.payouts.differences(None) == []
    other = replace(answer, batches=(BatchAcknowledgement("VL-X", outcome, "", "top"),))
    with pytest.raises(AcknowledgementError, match="batch 'VL-X' was never made from these books"):
        treasury.payouts.acknowledge(other, "eve")


def test_an_appeal_is_received_and_decided_once(treasury: Treasury) -> None:
    found = treasury.statements.statement("ann", OCTOBER)
    assert found is not None
    appeal_id = treasury.holds.appeal(found.statement.statement_id, "I had more views", "ann").appeal_id
    treasury.holds.decide_appeal(appeal_id, Move("rejected", "max", "the evidence says otherwise"))
    (appeal,) = treasury.holds.appeals("ann")
    assert (appeal.state, appeal.actor, appeal.reason) == ("rejected", "max", "the evidence says otherwise")
    with pytest.raises(StateError, match="is rejected and cannot become accepted"):
        treasury.holds.decide_appeal(appeal_id, Move("accepted", "max"))
    with pytest.raises(StateError, match="there is no statement nowhere"):
        treasury.holds.appeal("nowhere", "x", "ann")


def test_the_commands_pay_write_import_and_reconcile(
    treasury: Treasury, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["billing", *words, "--json"]) == ExitCode.OK, capsys.readouterr().err
        return dict(json.loads(capsys.readouterr().out))

    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", treasury.url)
    monkeypatch.setenv("VIEWLEDGER_PAYOUT_DEBTOR_NAME", "Viewledger")
    monkeypatch.setenv("VIEWLEDGER_PAYOUT_DEBTOR_IBAN", "NO9386011117947")
    card = replace(card_of(1), minimum_payout_micros=3_000_000)
    catalogues = PostgresCatalogueStore(connector(treasury.url))
    catalogues.import_contracts(contracts_of(card, currency="EUR"))
    put_in_force(treasury.url)
    words = ["payouts", "create", "--currency", "EUR", "--execution-on", DAY.isoformat(), "--actor", "eve"]
    preview = run(*words, "--preview")
    assert (preview["item_count"], preview["left"][0]["payee_id"]) == (1, "bob")
    catalogues.import_contracts(contracts_of(card_of(1), currency="EUR"))
    put_in_force(treasury.url)
    made = run(*words)
    assert (made["batch_id"], made["amount_micros"]) == (BATCH, 27_500_000)
    out = tmp_path / "batch.xml"
    words = ["payouts", "file", "--batch", made["batch_id"], "--out", str(out), "--actor", "eve"]
    assert main(["billing", *words]) == ExitCode.REFUSED
    assert "someone other than its maker must approve it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [], "nothing of a file that may not be written"
    assert main(["billing", "payouts", "approve", "--batch", made["batch_id"], "--actor", "eve"]) == ExitCode.REFUSED
    assert "was made by the login viewledger; another login must approve it" in capsys.readouterr().err
    payments = run("payouts", "show", "--batch", made["batch_id"])["payments"]
    assert [(each["payee_id"], each["account"], each["amount_micros"]) for each in payments] == [
        ("ann", "DE…3000", 25_000_000),
        ("bob", "GB…5432", 2_500_000),
    ]
    approve = ("payouts", "approve", "--batch", made["batch_id"], "--actor", "max")
    assert main(["billing", *approve]) == ExitCode.REFUSED
    assert "was made by the login viewledger; another login must approve it" in capsys.readouterr().err
    monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", second_person(treasury.url))
    assert run(*approve)["payment_count"] == 2
    for wrong in (str(tmp_path), "/dev/null", str(tmp_path / "nowhere" / "batch.xml")):
        assert main(["billing", *words[:4], "--out", wrong]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("is a folder or a device; name a file") == 2
    assert "cannot be written (No such file or directory)" in error
    assert run("payouts", "list")["batches"][0]["batch_state"] == "approved", (
        "nothing is noted of a file that was not written"
    )
    run(*words)
    assert out.stat().st_mode & 0o777 == 0o600
    assert b"<CtrlSum>27.50</CtrlSum>" in out.read_bytes()
    first = out.read_bytes()
    run(*words)
    assert out.read_bytes() == first, "a file that is written again is the same byte for byte"
    run(*words[:4], "--out", str(tmp_path / "batch.csv"), "--format", "csv", "--actor", "eve")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["batch.csv", "batch.xml"]
    item_ids = [row.split(",")[0] for row in (tmp_path / "batch.csv").read_text().splitlines()[1:]]
    answer = tmp_path / "answer.csv"
    answer.write_text(
        f"item_id,outcome,amount,currency,reason\n{item_ids[0]},settled,25.00,EUR,\n{item_ids[1]},rejected,2.5,EUR,AC04\n"
    )
    assert run("payouts", "import", "--file", str(answer), "--actor", "eve") == {
        "line_count": 2,
        "not_final_count": 0,
        "executed_count": 0,
        "settled": 1,
        "rejected": 1,
    }
    assert run("payouts", "reconcile")["differences"] == []
    listed = [
        (each["batch_state"], each["made_by"], each["payment_state"]) for each in run("payouts", "list")["batches"]
    ]
    assert listed == [("written", "eve", "rejected"), ("written", "eve", "settled")]
    assert main(["billing", "payouts", "void", "--batch", made["batch_id"], "--reason", "x"]) == ExitCode.REFUSED
    assert "was written and may be at the bank" in capsys.readouterr().err
    answer.write_text(f"item_id,outcome,amount,currency,reason\n{item_ids[0]},settled,1.00,EUR,\n")
    assert main(["billing", "payouts", "import", "--file", str(answer), "--actor", "eve"]) == ExitCode.DIFFERENCE
    held = run(
        "holds", "place", "--payee", "bob", "--currency", "EUR", "--amount", "1.5", "--reason", "odd", "--actor", "eve"
    )
    assert (
        run("holds", "decide", "--hold", held["hold_id"], "--as", "released", "--reason", "ok", "--actor", "max")[
            "state"
        ]
        == "released"
    )
    assert [each["state"] for each in run("holds", "list", "--payee", "bob")["holds"]] == ["released"]
