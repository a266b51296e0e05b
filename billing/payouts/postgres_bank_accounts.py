"""Bank accounts of payees in PostgreSQL: each change is a version that waits for a second person."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from billing.payouts.bank_data import BankAccount
from billing.postgres_session import copy_rows

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_NEWEST_ACCOUNTS = """
    SELECT payee_id, max(account_version) FROM billing.bank_accounts
    WHERE payee_id = ANY(%(payees)s) GROUP BY payee_id"""
# in force, or waiting for a second person
_KNOWN_ACCOUNTS = """
    SELECT payee_id, holder_name, iban, bic, email FROM billing.bank_accounts_in_force WHERE payee_id = ANY(%(payees)s)
    UNION ALL SELECT a.payee_id, a.holder_name, a.iban, a.bic, a.email FROM billing.bank_accounts a
    JOIN billing.proposals p
         ON p.subject_kind = 'bank_account' AND p.subject_id = a.payee_id || ':' || a.account_version
    WHERE a.payee_id = ANY(%(payees)s)"""
_EMAILS = """
    SELECT payee_id, email FROM billing.bank_accounts_in_force WHERE payee_id = ANY(%(payees)s) AND email IS NOT NULL"""


def store_accounts(cursor: "Cursor", accounts: Sequence[BankAccount], actor: str) -> int:
    """Store the new and changed accounts, each as its next version; return how many.

    An account without an address for notices keeps the payee's: no change of an account silences them.
    """
    payee_ids = [each.payee_id for each in accounts]
    cursor.execute(_EMAILS, {"payees": payee_ids})
    emails: dict[str, str] = dict(cursor.fetchall())
    accounts = [replace(each, email=each.email or emails.get(each.payee_id)) for each in accounts]
    cursor.execute(_KNOWN_ACCOUNTS, {"payees": payee_ids})
    known = {BankAccount(*row) for row in cursor}
    cursor.execute(_NEWEST_ACCOUNTS, {"payees": payee_ids})
    newest: dict[str, int] = dict(cursor.fetchall())
    new = [each for each in accounts if each not in known]
    rows = (
        (each.payee_id, newest.get(each.payee_id, 0) + 1, each.holder_name, each.iban, each.bic, each.email, actor)
        for each in new
    )
    copy_rows(cursor, "billing.bank_accounts", "payee_id, account_version, holder_name, iban, bic, email, actor", rows)
    return len(new)
