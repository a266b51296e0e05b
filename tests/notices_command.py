"""Books with something to tell, and the command that tells it with the login of a deployment, for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.books.states import Move
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from jobs.cli import main
from tests.billing_fakes import bill, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import person, second_person

Run = Callable[..., tuple[int, str, str]]
IBAN = "DE89370400440532013000"
DAY = datetime.now(UTC).date() + timedelta(days=3)
BATCH = f"VL-EUR-{DAY:%Y%m%d}-1"


@contextmanager
def books_with_accounts(postgres_url: str) -> Iterator[str]:
    """Yield the URL of books in which ann has an address, and bob none."""
    with own_database(postgres_url) as url:
        accounts = [BankAccount("ann", "Ann", IBAN, email="ann@old.example"), BankAccount("bob", "Bob", IBAN)]
        PostgresPayouts(connector(url, "viewledger_billing")).import_accounts(accounts, "eve")
        put_in_force(url)
        yield url


def bill_and_pay(url: str) -> None:
    """Make statements of 25 EUR for ann and 2.50 EUR for bob final, and send a batch with both to the bank."""
    connect = connector(url, "viewledger_billing")
    bills = [bill("ann", line(views=10_000), currency="EUR"), bill("bob", line(views=1000), currency="EUR")]
    post_bills(run_of(currency="EUR"), bills, PostgresBooks(connect))
    PostgresPayouts(connect).create_batch("EUR", DAY, lambda _payee_id: 0, "eve")
    PostgresPayoutSteps(connector(second_person(url), "viewledger_approver")).approve(BATCH, Move("approved", "max"))
    PostgresPayoutSteps(connect).write(BATCH, "eve")


@contextmanager
def notices_command(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> Iterator[Run]:
    """Yield what runs `billing notices` with a login that has the role of notices and no other."""
    with person(url, "viewledger_notices") as login:
        # as a deployment gives them: nothing but what this work needs
        monkeypatch.delenv("VIEWLEDGER_POSTGRES_URL", raising=False)
        monkeypatch.setenv("VIEWLEDGER_NOTICES_POSTGRES_URL", login)
        monkeypatch.setenv("VIEWLEDGER_PORTAL_URL", "https://views.example")
        monkeypatch.setenv("VIEWLEDGER_STATE_DIR", str(folder))

        def command(*words: str) -> tuple[int, str, str]:
            capsys.readouterr()
            code = main(["billing", "notices", *words])
            shown = capsys.readouterr()
            return code, shown.out, shown.err

        yield command
