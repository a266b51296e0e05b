"""The bank account of one payee, for the payee: what is on file, masked, and a change that a second person approves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing.errors import StateError
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_bank_accounts import store_accounts
from billing.postgres_session import Connect, one_transaction

CHANGES_MAX = 50
_CHANGES = """
    SELECT account, holder_name, asked_at, CASE WHEN is_replaced THEN 'replaced' ELSE state END, moved_at, reason,
           address
    FROM billing.shown_account_changes WHERE payee_id = %s ORDER BY account_version DESC LIMIT %s"""
_COUNTRY = """
    SELECT country FROM billing.payees
    WHERE payee_id = %s AND catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)"""
_WAITING = "SELECT account FROM billing.proposals WHERE subject_kind = 'bank_account' AND payee_id = %s"
_IN_FORCE = """
    SELECT payee_id, holder_name, iban, bic, email FROM billing.bank_accounts_in_force WHERE payee_id = %s"""


@dataclass(frozen=True)
class AccountChange:
    """One account that was imported or asked for, masked."""

    account: str
    holder_name: str
    asked_at: datetime
    state: str
    """`proposed`, `in_force`, `refused`, or `replaced`: once in force."""
    moved_at: datetime
    reason: str
    address: str | None
    """Where notices go, masked."""


@dataclass(frozen=True)
class OnFile:
    """What the books know of where a payee is paid and taxed."""

    changes: Sequence[AccountChange]
    """The newest first."""
    tax_country: str | None
    """By the catalogue in force."""


def on_file(connect: Connect, payee_id: str) -> OnFile:
    """Return a payee's accounts, masked, and the country that tax is withheld for."""
    with one_transaction(connect) as cursor:
        cursor.execute(_CHANGES, (payee_id, CHANGES_MAX))
        changes = [AccountChange(*row) for row in cursor]
        cursor.execute(_COUNTRY, (payee_id,))
        row = cursor.fetchone()
    return OnFile(changes, row[0] if row else None)


def ask_for_account(connect: Connect, account: BankAccount, actor: str) -> None:
    """Store an account that its payee asks for; it waits until a second person puts it in force.

    The account in force with another address for notices is a change, too, and keeps its BIC.

    Raises:
        StateError: a change of this payee waits already, or account and address are those in force.
    """
    with one_transaction(connect) as cursor:
        cursor.execute("SELECT billing.lock_ledger()")
        cursor.execute(_WAITING, (account.payee_id,))
        if (waiting := cursor.fetchone()) is not None:
            raise StateError(f"a change to {waiting[0]} waits already; it is decided first")
        cursor.execute(_IN_FORCE, (account.payee_id,))
        if (row := cursor.fetchone()) is not None:
            before = BankAccount(*row)
            if account.iban == before.iban:
                account = replace(account, bic=before.bic)
            if replace(account, email=account.email or before.email) == before:
                raise StateError(f"{account.masked} is the account that is on file")
        store_accounts(cursor, [account], actor)
