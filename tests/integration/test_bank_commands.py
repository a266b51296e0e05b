"""Bank data, execution days, amounts and answers at the command line: bad input gets one sentence and moves nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from jobs.cli import main
from jobs.exit_codes import ExitCode
from tests import status_reports
from tests.billing_fakes import bill, card_of, contracts_of, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import person

Run = Callable[..., tuple[int, str, str]]
TODAY = datetime.now(UTC).date()
DAY = (TODAY + timedelta(days=3)).isoformat()
CREATE = ("payouts", "create", "--execution-on", DAY, "--actor", "eve", "--currency")


@pytest.fixture
def run(postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `billing` on books in which ann and bob are owed EUR; bob's account of old has a BIC that is none."""
    with own_database(postgres_url) as url, person(url, "viewledger_approver") as approver:
        connect = connector(url, "viewledger_billing")
        bills = [bill("ann", line(views=10_000), currency="EUR"), bill("bob", line(views=1000), currency="EUR")]
        post_bills(run_of(currency="EUR"), bills, PostgresBooks(connect))
        PostgresCatalogueStore(connector(url)).import_contracts(contracts_of(card_of(1), currency="EUR"))
        PostgresPayouts(connect).import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000")], "eve")
        old = psycopg2.connect(url)
        with old, old.cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing.bank_accounts (payee_id, account_version, holder_name, iban, bic, actor) "
                "VALUES ('bob', 1, 'Bob', 'GB82WEST12345698765432', '12345678', 'eve')"
            )
        old.close()
        put_in_force(url)

        def command(*words: str) -> tuple[int, str, str]:
            monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", approver if words[:2] == ("payouts", "approve") else url)
            capsys.readouterr()
            code = main(["billing", *words])
            shown = capsys.readouterr()
            return code, shown.out, shown.err

        yield command


@pytest.fixture
def debtor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWLEDGER_PAYOUT_DEBTOR_NAME", "Viewledger")
    monkeypatch.setenv("VIEWLEDGER_PAYOUT_DEBTOR_IBAN", "NO93 8601 1117 947")


def batches(run: Run) -> str:
    return run("payouts", "list")[1]


@pytest.mark.usefixtures("debtor")
def test_an_account_that_no_bank_takes_keeps_its_payee_out_of_the_batch_and_the_rest_is_paid(
    run: Run, tmp_path: Path
) -> None:
    for more in (("--preview",), ()):
        code, out, error = run(*CREATE, "EUR", *more)
        assert code == ExitCode.OK, error
        assert "1 payment, 25.000000 EUR" in out
        assert "left: payee bob: has a bank account (version 1) that no bank accepts: bic: not a BIC" in out
        assert "12345678" not in out
    batch_id = out.split()[1].rstrip(":")
    assert run("payouts", "approve", "--batch", batch_id, "--actor", "max")[0] == ExitCode.OK
    assert run("payouts", "file", "--batch", batch_id, "--out", str(tmp_path / "file.xml"))[0] == ExitCode.OK
    answer = tmp_path / "answer.xml"
    answer.write_text(status_reports.report(status="ACSP", message_id=batch_id))
    code, out, _ = run("payouts", "import", "--file", str(answer))
    assert (code, out) == (
        ExitCode.OK,
        "0 lines: nothing new; 1 are not final (ACCP, ACSP, PDNG, …): nothing follows from them yet\n",
    )
    answer.write_text(status_reports.report(status="RJCT", message_id=batch_id, code="DU01"))
    code, _, error = run("payouts", "import", "--file", str(answer))
    assert (code, "rejected because it came before (DU01)" in error) == (ExitCode.BAD_INPUT, True)
    answer.write_text(status_reports.report(status="RJCT", message_id=batch_id, code="FF01", count="8"))
    code, _, error = run("payouts", "import", "--file", str(answer))
    assert (code, f"the bank says 8 payments, and batch {batch_id} has 1" in error) == (ExitCode.DIFFERENCE, True)
    answer.write_text(status_reports.report(status="RJCT", message_id=batch_id, code="FF01", count="1", total="25.00"))
    assert run("payouts", "import", "--file", str(answer)) == (ExitCode.OK, "1 line: 1 rejected\n", "")
    assert run("payouts", "import", "--file", str(answer)) == (ExitCode.OK, "1 line: nothing new\n", "")
    assert run("payouts", "reconcile")[0] == ExitCode.OK


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NAME", "株式会社", "VIEWLEDGER_PAYOUT_DEBTOR_NAME: the holder's name cannot be written"),
        ("IBAN", "NO9386011117948", "VIEWLEDGER_PAYOUT_DEBTOR_IBAN: not an IBAN: its check digits are wrong"),
        ("IBAN", "", "VIEWLEDGER_PAYOUT_DEBTOR_IBAN is not set"),
        ("BIC", "12345678", "VIEWLEDGER_PAYOUT_DEBTOR_BIC: not a BIC"),
        ("BIC", "COBADEFF", "VIEWLEDGER_PAYOUT_DEBTOR_BIC: the BIC is of a bank in DE and the IBAN of NO"),
    ],
)
@pytest.mark.usefixtures("debtor")
def test_the_account_that_pays_is_judged_before_a_batch_is_made(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"VIEWLEDGER_PAYOUT_DEBTOR_{name}", value)
    code, _, error = run(*CREATE, "EUR")
    assert (code, sentence in error) == (ExitCode.BAD_INPUT, True), error
    assert "no payout was made yet" in batches(run)


def test_without_an_account_that_pays_it_is_said_what_can_be_written(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*CREATE, "EUR")
    assert code == ExitCode.OK
    assert "VIEWLEDGER_PAYOUT_DEBTOR_IBAN are not set: the batch can be written as csv" in out
    batch_id = out.split()[1].rstrip(":")
    run("payouts", "approve", "--batch", batch_id, "--actor", "max")
    code, _, error = run("payouts", "file", "--batch", batch_id, "--out", str(tmp_path / "file.xml"))
    assert (code, "are not set; use --format csv" in error) == (ExitCode.BAD_INPUT, True)
    assert run("payouts", "file", "--batch", batch_id, "--out", str(tmp_path / "file.csv"), "--format", "csv")[0] == 0


@pytest.mark.parametrize(
    ("day", "sentence"),
    [
        ("2020-01-01", "--execution-on: 2020-01-01 is in the past"),
        (-1, "is in the past"),
        (92, "is too far ahead"),
        ("2026-W49-2", "is not a day: '2026-W49-2'; give it as 2026-10-31"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--preview",)])
def test_no_batch_takes_effect_in_the_past(run: Run, day: str | int, sentence: str, more: tuple[str, ...]) -> None:
    day = day if isinstance(day, str) else f"{datetime.now(UTC) + timedelta(days=day):%Y-%m-%d}"
    code, _, error = run("payouts", "create", "--currency", "EUR", "--execution-on", day, *more)
    assert (code, sentence in error) == (ExitCode.BAD_INPUT, True), error
    assert "no payout was made yet" in batches(run)


HOLD = ("holds", "place", "--payee", "ann", "--actor", "eve")


@pytest.mark.parametrize("amount", ["1_000", "1e1", "١٢", "NaN", "Infinity", "-1", "+1", "0", " 1", "1.001", "1,5", ""])
def test_a_hold_is_of_a_plain_amount(run: Run, amount: str) -> None:
    code, _, error = run(*HOLD, "--currency", "EUR", f"--amount={amount}", "--reason", "odd")
    assert (code, "is not an amount in EUR; write digits with at most 2 decimals" in error) == (
        ExitCode.BAD_INPUT,
        True,
    )
    assert run("holds", "list")[1] == "there are no holds\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--currency", "eur", "--amount", "1", "--reason", "x"), ExitCode.BAD_INPUT, "an ISO 4217 currency: 'eur'"),
        (("--currency", "XXX", "--amount", "1", "--reason", "x"), ExitCode.BAD_INPUT, "an ISO 4217 currency: 'XXX'"),
        (("--currency", "EUR", "--amount", "1", "--reason", " "), ExitCode.BAD_INPUT, "--reason is not readable: ' '"),
        (("--currency", "EUR", "--amount", "1", "--reason", "a\x1b[2J"), 2, "--reason is not readable"),
        (("--currency", "EUR", "--amount", "1", "--reason", "x", "--days", "1_0"), 2, "is not a whole number: '1_0'"),
        (("--currency", "EUR", "--amount", "25.01", "--reason", "x"), ExitCode.REFUSED, "less than 25.010000 EUR"),
        (("--currency", "USD", "--amount", "1", "--reason", "x"), ExitCode.REFUSED, "was never owed anything in USD"),
    ],
)  # fmt: skip
def test_a_hold_that_cannot_be_is_refused_in_one_sentence(
    run: Run, words: tuple[str, ...], code: int, sentence: str
) -> None:
    found, _, error = run(*HOLD, *words)
    assert (found, sentence in error) == (code, True), error
    assert run("holds", "list")[1] == "there are no holds\n"
