"""The bank's own statements on real books: what it booked is what the ledger shows, and no word alone pays anybody."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode
from tests import status_reports
from tests.account_reports import balances, detail, entry, report, statement
from tests.payout_office import payable_books


@dataclass
class Office:
    """Books in which ann (25 EUR) and bob (2.50 EUR) were paid by a file that is at the bank."""

    url: str
    folder: Path
    shown: Callable[[], tuple[str, str]]
    execution_on: date
    """The day after the file was made."""
    batch_id: str = ""
    items: dict[str, str] = None  # type: ignore[assignment]

    def command(self, *words: str) -> tuple[int, Any, str]:
        self.shown()
        code = main(["billing", *words, "--json"])
        out, error = self.shown()
        return code, json.loads(out) if out else None, error

    def import_(self, text: str, name: str = "statement.xml") -> tuple[int, Any, str]:
        file = self.folder / name
        file.write_text(text)
        return self.command("payouts", "import", "--file", str(file), "--actor", "eve")

    def states(self) -> dict[str, str]:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT i.payee_id, c.state FROM billing.payout_items i JOIN billing.current_states c "
                "ON c.subject_kind = 'payout' AND c.subject_id = i.item_id"
            )
            return dict(cursor.fetchall())

    def balances(self) -> dict[str, int]:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT account, sum(amount_micros)::bigint FROM billing.entries GROUP BY account")
            found = dict(cursor.fetchall())
        assert sum(found.values()) == 0
        return {account: micros for account, micros in found.items() if micros and not account.startswith("expense:c")}


@pytest.fixture
def office(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Office]:
    with payable_books(postgres_url, monkeypatch) as url:
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        office = Office(url, tmp_path, lambda: tuple(capsys.readouterr()), tomorrow)  # type: ignore[arg-type, return-value]
        create = ("payouts", "create", "--currency", "EUR", "--execution-on", str(tomorrow), "--actor", "eve")
        office.batch_id = office.command(*create)[1]["batch_id"]
        office.command("payouts", "approve", "--batch", office.batch_id, "--actor", "max")
        office.command("payouts", "file", "--batch", office.batch_id, "--out", str(tmp_path / "out.xml"))
        payments = office.command("payouts", "show", "--batch", office.batch_id)[1]["payments"]
        office.items = {each["payee_id"]: each["item_id"] for each in payments}
        yield office


def test_a_payment_is_settled_when_the_bank_books_it_and_not_when_it_says_so(office: Office) -> None:
    acsc = status_reports.report(status="ACSC", message_id=office.batch_id)
    code, shown, _ = office.import_(acsc)
    assert (code, shown) == (ExitCode.OK, {"line_count": 1, "not_final_count": 0, "executed_count": 1})
    assert office.states() == {"ann": "instructed", "bob": "instructed"}
    debit = entry("-25.00", detail(office.items["ann"]))
    text = report(statement([debit], of=balances("100.00", "75.00")))
    code, shown, _ = office.import_(text)
    assert (code, shown["settled"], shown["differences"]) == (ExitCode.OK, 1, [])
    assert office.states() == {"ann": "settled", "bob": "instructed"}
    assert office.balances() == {"bank": -25_000_000, "clearing:payouts": -2_500_000}
    for again in (text, report(statement([debit], identity="N7"), kind="camt.054.001.08")):
        code, shown, _ = office.import_(again)
        assert (code, shown["repeated_count"], "settled" in shown) == (ExitCode.OK, 1, False)
    assert office.balances()["bank"] == -25_000_000
    code, shown, _ = office.command("payouts", "reconcile")
    assert (code, shown) == (ExitCode.OK, {"differences": [], "unbooked_count": 0})


def test_a_return_makes_the_amount_owed_again_and_its_fee_is_the_platforms(office: Office) -> None:
    whole = entry("-27.50", batch_id=office.batch_id)
    back = entry("24.10", detail(office.items["ann"], "24.10", charges="0.90", reason="AC04"), reference="R2")
    early = office.import_(report(statement([back], identity="S2")))
    assert (early[0], "comes back, and no statement shows yet that it left" in early[2]) == (ExitCode.DIFFERENCE, True)
    assert office.balances() == {"clearing:payouts": -27_500_000}
    assert office.import_(report(statement([whole])))[1]["settled"] == 2
    code, shown, _ = office.import_(report(statement([back], identity="S2")))
    assert (code, shown["returned"]) == (ExitCode.OK, 1)
    assert office.balances() == {"bank": -3_400_000, "expense:bank-fees": 900_000, "payable:ann": -25_000_000}
    assert office.states() == {"ann": "returned", "bob": "settled"}
    assert office.command("payouts", "reconcile")[0] == ExitCode.OK
    assert office.command("ledger", "totals")[0] == ExitCode.OK


def test_a_payment_leaves_the_account_and_comes_back_on_the_days_that_the_bank_booked(office: Office) -> None:
    days = {"payout_settled": office.execution_on - timedelta(days=1), "payout_returned": office.execution_on}
    debit = entry("-25.00", detail(office.items["ann"]), day=days["payout_settled"].isoformat())
    back = entry("25.00", detail(office.items["ann"]), reference="R2", day=days["payout_returned"].isoformat())
    assert office.import_(report(statement([debit, back])))[0] == ExitCode.OK
    with closing(psycopg2.connect(office.url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, (effective_at AT TIME ZONE 'UTC')::date FROM billing.transactions WHERE kind = ANY (%s)",
            (list(days),),
        )
        assert dict(cursor.fetchall()) == days


def test_a_wrong_amount_stays_in_suspense_until_the_bank_puts_it_right(office: Office) -> None:
    wrong = entry("-24.99", detail(office.items["ann"]))
    code, shown, _ = office.import_(report(statement([wrong])))
    assert (code, len(shown["differences"])) == (ExitCode.DIFFERENCE, 1)
    assert office.states()["ann"] == "instructed"
    assert office.balances() == {"bank": -24_990_000, "suspense:bank": 24_990_000, "clearing:payouts": -27_500_000}
    code, shown, _ = office.command("payouts", "reconcile")
    assert (code, "-24.990000 EUR in suspense" in shown["differences"][0]) == (ExitCode.DIFFERENCE, True)
    right = [
        entry("24.99", detail(office.items["ann"]), reference="R2"),
        entry("-25.00", detail(office.items["ann"]), reference="R3"),
    ]
    assert office.import_(report(statement(right, identity="S2")))[1]["settled"] == 1
    assert office.balances() == {"bank": -25_000_000, "clearing:payouts": -2_500_000}
    assert office.command("payouts", "reconcile")[0] == ExitCode.OK


def test_an_unknown_credit_is_named_and_kept_in_suspense(office: Office) -> None:
    code, shown, _ = office.import_(report(statement([entry("1000.00"), entry("-3.00", reference="F", code="CHRG")])))
    assert (code, shown["unknown"], shown["fee"]) == (ExitCode.OK, 1, 1)
    assert office.balances() == {
        "bank": 997_000_000, "suspense:bank": -1_000_000_000, "expense:bank-fees": 3_000_000,
        "clearing:payouts": -27_500_000,
    }  # fmt: skip
    code, shown, _ = office.command("payouts", "movements", "--unknown")
    assert [(each["amount_micros"], each["account"]) for each in shown["movements"]] == [(1_000_000_000, "NO…7947")]
    assert len(office.command("payouts", "movements")[1]["movements"]) == 2


def test_what_a_csv_settled_is_noted_until_a_statement_shows_it(office: Office) -> None:
    rows = f"item_id,outcome,amount,currency\n{office.items['ann']},settled,25.00,EUR\n"
    assert office.import_(rows, "answer.csv")[1]["settled"] == 1
    assert office.command("payouts", "reconcile")[1] == {"differences": [], "unbooked_count": 1}
    assert office.import_(report(statement([entry("-25.00", detail(office.items["ann"]))])))[1]["settled"] == 1
    assert office.balances()["bank"] == -25_000_000
    assert office.command("payouts", "reconcile")[1]["unbooked_count"] == 0


def test_one_batch_is_reconciled_with_its_own_movements(office: Office) -> None:
    bob = office.items["bob"]
    movements = [
        entry("-2.50", detail(bob)),
        entry("2.50", detail(bob), reference="R2"),
        entry("-24.99", detail(office.items["ann"]), reference="R3"),
    ]
    assert office.import_(report(statement(movements)))[0] == ExitCode.DIFFERENCE
    rows = f"item_id,outcome,amount,currency\n{office.items['ann']},settled,25.00,EUR\n"
    assert office.import_(rows, "answer.csv")[1]["settled"] == 1
    create = ("payouts", "create", "--currency", "EUR", "--execution-on", str(office.execution_on), "--actor", "eve")
    second = office.command(*create)[1]["batch_id"]
    code, shown, _ = office.command("payouts", "reconcile", "--batch", second)
    assert (code, shown) == (ExitCode.OK, {"differences": [], "unbooked_count": 0})
    for words in (("--batch", office.batch_id), ()):
        code, shown, _ = office.command("payouts", "reconcile", *words)
        assert (code, len(shown["differences"]), shown["unbooked_count"]) == (ExitCode.DIFFERENCE, 1, 1)


def test_a_statement_of_another_account_changes_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    other = report(statement([entry("-25.00", detail(office.items["ann"]))], iban="DE89370400440532013000"))
    code, _, error = office.import_(other)
    assert (code, "is of account DE…3000, and payouts leave NO…7947" in error) == (ExitCode.BAD_INPUT, True)
    monkeypatch.delenv("VIEWLEDGER_PAYOUT_DEBTOR_NAME")
    monkeypatch.delenv("VIEWLEDGER_PAYOUT_DEBTOR_IBAN")
    code, _, error = office.import_(other)
    assert (code, "VIEWLEDGER_PAYOUT_DEBTOR_IBAN is not set" in error) == (ExitCode.BAD_INPUT, True)
    assert office.balances() == {"clearing:payouts": -27_500_000}


ROW = (
    "INSERT INTO billing.bank_entries (entry_id, account, statement, reference, booked_on, currency, amount_micros, "
    "charges_micros, item_id, purpose, actor) VALUES (repeat('a', 32), 'NO…7947', 'S', 'R', '2026-12-01', {0}, 'eve')"
)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("'EUR', -25000000, 0, '{ann}', 'settles'", "the payment has no such step"),
        ("'EUR', 25000000, 0, '{ann}', 'returns'", "the payment has no such step"),
        ("'EUR', -24000000, 0, '{ann}', 'settles'", "the payment is of 25000000 micros EUR"),
        ("'USD', -25000000, 0, '{ann}', 'settles'", "the payment is of 25000000 micros EUR"),
        ("'EUR', 5000000, 0, NULL, 'unknown'", "its transaction is not posted"),
        ("'EUR', -5000000, 0, NULL, 'fee'", "its transaction is not posted"),
        ("'EUR', 5000000, 0, NULL, 'named'", "bank_entries_check"),
    ],
)
def test_the_database_refuses_a_movement_that_the_ledger_does_not_follow(
    office: Office, values: str, problem: str
) -> None:
    with closing(psycopg2.connect(office.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE viewledger_billing")
        with pytest.raises(psycopg2.Error, match=problem) as caught:
            cursor.execute(ROW.format(values.format(**office.items)) + "; SET CONSTRAINTS ALL IMMEDIATE")
        assert caught.value.pgcode == ("23514" if "named" in values else "VL413")


@pytest.mark.parametrize(
    "change",
    [{"account": "DE…3000"}, {"reference": "R9"}, {"amount_micros": "1"}, {"currency": "USD"}, {"named_id": ""}],
)
def test_the_database_takes_a_total_out_of_suspense_once_and_only_by_a_row_that_fits_it(
    office: Office, change: dict[str, str]
) -> None:
    total = entry("-27.50")
    parts = entry("-27.50", detail(office.items["ann"], "-25.00") + detail(office.items["bob"], "-2.50"))
    wrong = entry("-9.99", detail(office.items["ann"]), reference="R2")
    assert office.import_(report(statement([total, wrong])))[0] == ExitCode.DIFFERENCE
    shown = office.command("payouts", "movements", "--unknown")[1]["movements"]
    ids = {each["reference"]: each["entry_id"] for each in shown}
    named = {"account": "NO…7947", "reference": "R1", "amount_micros": "27500000", "currency": "EUR"}
    named |= {"named_id": ids["R1"]} | change
    if not named["named_id"]:  # of a payment
        named |= {"named_id": ids["R2"], "reference": "R2", "amount_micros": "9990000"}
    fields = ", ".join(("entry_id", "statement", "booked_on", "purpose", "actor", *named))
    values = ", ".join(f"'{each}'" for each in ("a" * 32, "S", "2026-12-01", "named", "eve", *named.values()))
    insert = f"INSERT INTO billing.bank_entries ({fields}) VALUES ({values}); SET CONSTRAINTS ALL IMMEDIATE"
    with closing(psycopg2.connect(office.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE viewledger_billing")
        with pytest.raises(psycopg2.Error, match="no total of this account, reference and amount") as caught:
            cursor.execute(insert)
        assert caught.value.pgcode == "VL413"
    assert office.import_(report(statement([parts], identity="S2")))[1]["named"] == 1
    left = office.command("payouts", "movements", "--unknown")[1]["movements"]
    assert [each["entry_id"] for each in left if not each["item_id"]] == []
    with closing(psycopg2.connect(office.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE viewledger_billing")
        with pytest.raises(psycopg2.errors.UniqueViolation, match="bank_entries_named_once"):
            cursor.execute(insert.replace(named["named_id"], ids["R1"]))
