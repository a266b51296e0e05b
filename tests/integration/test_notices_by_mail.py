"""Notices to payees on a real PostgreSQL and an SMTP server: each step is told once, to the right address."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from email.message import Message
from pathlib import Path

import psycopg2
import pytest

from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_traffic_appeals import PostgresTrafficAppeals
from billing.books.states import Move
from billing.notices.notice import PayeeNotice
from billing.notices.postgres_notices import PostgresNotices
from billing.payouts.answers import Acknowledgement, Answer
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_own_account import ask_for_account
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector, one_transaction
from ingestion.contract.requests import RequestKey
from ingestion.contract.traffic_reasons import InvalidClass
from jobs.exit_codes import ExitCode
from tests.billing_postgres import put_in_force
from tests.notices_command import BATCH, IBAN, Run, bill_and_pay, books_with_accounts, notices_command
from tests.postgres_people import person
from tests.smtp_server import SmtpServerOfTests, smtp_server

OTHER_IBAN = "GB82WEST12345698765432"


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with books_with_accounts(postgres_url) as url:
        yield url


@pytest.fixture
def smtp() -> Iterator[SmtpServerOfTests]:
    with smtp_server() as server:
        yield server


@pytest.fixture
def run(
    url: str,
    smtp: SmtpServerOfTests,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Run]:
    (tmp_path / "smtp-url").write_text(f"smtp://127.0.0.1:{smtp.port}\n")
    monkeypatch.setenv("VIEWLEDGER_SMTP_URL_FILE", str(tmp_path / "smtp-url"))
    monkeypatch.setenv("VIEWLEDGER_NOTICES_FROM", "payments@views.example")
    with notices_command(url, monkeypatch, capsys, tmp_path) as command:
        yield command


def subjects(mails: list[Message]) -> list[tuple[str, str]]:
    return [(mail["To"], mail["Subject"]) for mail in mails]


def test_a_statement_and_a_payment_are_told_once_with_amount_and_link(
    url: str, run: Run, smtp: SmtpServerOfTests
) -> None:
    assert run("send")[0] == ExitCode.OK
    first = [("ann@old.example", "Your account was changed")]
    assert subjects(smtp.accepted) == first
    bill_and_pay(url)
    code, out, _ = run("send", "--json")
    assert (code, json.loads(out)) == (ExitCode.OK, {"delivered_count": 2, "refused_count": 0, "waiting_count": 0})
    code, out, _ = run("send", "--json")
    assert (code, json.loads(out)) == (ExitCode.OK, {"delivered_count": 0, "refused_count": 0, "waiting_count": 0})
    assert subjects(smtp.accepted[1:]) == [
        ("ann@old.example", "Your statement of 2026-10-01 to 2026-10-31 is final"),
        ("ann@old.example", "A payment to you was instructed"),
    ]
    statement, payment = (str(mail.get_payload()) for mail in smtp.accepted[1:])
    assert "It pays 25.000000 EUR." in statement
    assert "https://views.example/portal/statements/" in statement
    assert "25.000000 EUR was sent to the bank." in payment
    assert IBAN[-4:] not in statement + payment
    assert len({mail["Message-ID"] for mail in smtp.accepted}) == 3


def test_a_payment_that_comes_back_and_a_hold_are_told(url: str, run: Run, smtp: SmtpServerOfTests) -> None:
    bill_and_pay(url)
    connect = connector(url, "viewledger_billing")
    payouts, now = PostgresPayouts(connect), datetime.now(UTC)
    batch = payouts.batch(BATCH)
    assert batch is not None
    (item,) = (each for each in batch.items if each.payee_id == "ann")
    for outcome in ("settled", "returned"):
        payouts.acknowledge(
            Answer((Acknowledgement(item.item_id, outcome, 25_000_000, "EUR", "said so", "line 2"),)), "eve"
        )
    holds = PostgresHolds(connect)
    hold_id = holds.place("ann", "EUR", 5_000_000, now + timedelta(days=9), Move("pending", "eve", "looked at"))
    holds.decide(hold_id, Move("released", "max", "fine"), datetime.now(UTC))
    assert run("send")[0] == ExitCode.OK
    assert [subject for _, subject in subjects(smtp.accepted)][-3:] == [
        "A payment to you came back",
        "An amount is on hold",
        "An amount is no longer on hold",
    ]


def test_an_answered_appeal_is_told_and_a_withdrawn_one_is_not(url: str, run: Run, smtp: SmtpServerOfTests) -> None:
    bill_and_pay(url)
    connect = connector(url, "viewledger_billing")
    run("send")
    smtp.accepted.clear()
    holds = PostgresHolds(connect)
    with one_transaction(connect) as cursor:
        cursor.execute("SELECT statement_id FROM billing.statements WHERE payee_id = 'ann'")
        ((statement_id,),) = cursor.fetchall()
    for state in ("withdrawn", "rejected", "accepted"):
        appeal_id = holds.appeal(statement_id, f"to be {state}", "ann").appeal_id
        holds.decide_appeal(appeal_id, Move(state, "max", "looked at"))
    about_traffic = PostgresTrafficAppeals(connect)
    key = RequestKey("ann", "k1", "0" * 64)
    appeal_id = about_traffic.file("ann", date(2026, 10, 3), InvalidClass.UNNATURAL, "a school class", key)
    with person(url, "viewledger_reviewer") as login:
        PostgresTrafficAppeals(connector(login)).answer(appeal_id, "it is one", "rae")
    for _ in range(2):
        assert run("send")[0] == ExitCode.OK
    assert subjects(smtp.accepted) == [
        ("ann@old.example", "Your appeal against a statement was rejected"),
        ("ann@old.example", "Your appeal against a statement was accepted"),
        ("ann@old.example", "Your appeal about views that are not counted was answered"),
    ]
    assert "looked at" not in str(smtp.accepted[0].get_payload())
    assert "https://views.example/portal/notices" in str(smtp.accepted[1].get_payload())
    assert "https://views.example/portal/invalid" in str(smtp.accepted[2].get_payload())


def test_a_new_account_is_told_to_the_old_address_first_and_keeps_it_unless_told_otherwise(
    url: str, run: Run, smtp: SmtpServerOfTests
) -> None:
    connect = connector(url, "viewledger_billing")
    run("send")
    smtp.accepted.clear()
    ask_for_account(connect, BankAccount("ann", "Mallory", OTHER_IBAN), "ann")
    run("send")
    assert subjects(smtp.accepted) == [("ann@old.example", "A change of your account was asked for")]
    put_in_force(url)
    run("send")
    assert subjects(smtp.accepted[1:]) == [("ann@old.example", "Your account was changed")]
    PostgresPayouts(connect).import_accounts([BankAccount("ann", "Ann", IBAN, email="ann@new.example")], "eve")
    put_in_force(url)
    run("send")
    assert sorted(subjects(smtp.accepted[2:])) == [
        ("ann@new.example", "Your account was changed"),
        ("ann@old.example", "A change of your account was asked for"),
        ("ann@old.example", "Your account was changed"),
    ]


def test_a_refused_receiver_keeps_nobody_else_waiting_and_is_given_up_after_ten_attempts(
    url: str, run: Run, smtp: SmtpServerOfTests, tmp_path: Path
) -> None:
    bill_and_pay(url)
    smtp.refused.add("ann@old.example")
    for attempt in range(10):
        code, out, _ = run("send", "--json")
        left = 0 if attempt == 9 else 3
        expected = {"delivered_count": 0, "refused_count": 3, "waiting_count": left}
        assert (code, json.loads(out)) == (ExitCode.REFUSED, expected)
        figures = (tmp_path / "metrics" / "billing-notices.prom").read_text()
        assert f"\nviewledger_billing_notices_waiting {float(left)}\n" in figures
        assert ("viewledger_billing_notices_oldest_timestamp_seconds" in figures) == bool(left)
    assert run("send")[0] == ExitCode.OK
    code, out, _ = run("sent", "--state", "refused", "--payee", "ann", "--json")
    found = json.loads(out)["notices"]
    assert [(each["attempt_count"], each["error"], each["address"]) for each in found] == [
        (10, "550 no such user", "a…@old.example")
    ] * 3
    assert smtp.accepted == []


def test_a_server_that_is_away_costs_no_attempt_and_nothing_is_lost(run: Run, smtp: SmtpServerOfTests) -> None:
    file = Path(os.environ["VIEWLEDGER_SMTP_URL_FILE"])
    here = file.read_text()
    file.write_text("smtp://127.0.0.1:1")
    code, _, error = run("send")
    assert (code, "the SMTP server at 127.0.0.1:1 does not answer" in error) == (ExitCode.UNAVAILABLE, True), error
    file.write_text(here)
    assert run("send")[0] == ExitCode.OK
    assert len(smtp.accepted) == 1


def test_what_was_accepted_and_not_noted_is_sent_again_under_the_same_id(run: Run, smtp: SmtpServerOfTests) -> None:
    notices = PostgresNotices(connector(os.environ["VIEWLEDGER_NOTICES_POSTGRES_URL"], "viewledger_notices"))
    (due,) = notices.due()
    attempted: list[PayeeNotice] = []

    def accepted_and_killed(notice: PayeeNotice) -> None:
        attempted.append(notice)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        notices.attempt(due, accepted_and_killed)
    assert notices.due() == attempted == [due]
    assert run("send")[0] == ExitCode.OK
    assert smtp.accepted[0]["Message-ID"] == f"<{due.notice_id}@views.example>"
    # another process that read it before
    assert notices.attempt(due, lambda _notice: pytest.fail("sent twice")) is None


def test_the_role_of_notices_reads_no_bank_data_and_changes_no_attempt(url: str, run: Run) -> None:
    assert run("send")[0] == ExitCode.OK
    with person(url, "viewledger_notices") as login, closing(psycopg2.connect(login)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for refused in (
            "SELECT iban FROM billing.bank_accounts",
            "SELECT * FROM billing.statements",
            "UPDATE billing.notice_attempts SET error = 'x'",
            "DELETE FROM billing.notice_attempts",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(refused)
