"""A database in which ann and bob are owed money and can be paid, for tests of commands."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from tests.account_reports import IBAN
from tests.billing_fakes import bill, card_of, contracts_of, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import person


@contextmanager
def payable_books(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the database's URL; the settings of commands name it, a second person's login and the paying account."""
    with own_database(postgres_url) as url, person(url, "viewledger_approver") as approver:
        connect = connector(url, "viewledger_billing")
        bills = [bill("ann", line(views=10_000), currency="EUR"), bill("bob", line(views=1000), currency="EUR")]
        post_bills(run_of(currency="EUR"), bills, PostgresBooks(connect))
        PostgresCatalogueStore(connector(url)).import_contracts(contracts_of(card_of(1), currency="EUR"))
        accounts = [BankAccount(name, name.title(), "DE89370400440532013000") for name in ("ann", "bob")]
        PostgresPayouts(connect).import_accounts(accounts, "eve")
        put_in_force(url)
        monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", url)
        monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", approver)
        monkeypatch.setenv("VIEWLEDGER_PAYOUT_DEBTOR_NAME", "Viewledger")
        monkeypatch.setenv("VIEWLEDGER_PAYOUT_DEBTOR_IBAN", IBAN)
        yield url
