"""Read payees' bank accounts from CSV; a message names line and column and never repeats the value."""

from pathlib import Path

from billing.payouts.bank_data import BankAccount, account_problems, electronic
from billing.terms.file_csv import Problems, read_id, rows_of
from ingestion.contract.requests import FileRefusedError

COLUMNS = ("payee_id", "holder_name", "iban", "bic", "email")
OPTIONAL = ("bic", "email")


def read_bank_accounts(file: Path) -> dict[int, BankAccount]:
    """Return the accounts of a file by the line each begins on, each payee once; spaces in an IBAN are allowed.

    Raises:
        FileRefusedError: names every problem in the file.
    """
    problems, accounts, payee_ids = Problems(), dict[int, BankAccount](), set[str]()
    for row in rows_of(file, COLUMNS, OPTIONAL, problems):
        payee_id = read_id(file, row, "payee_id", problems)
        iban, bic = (electronic(row.cells[column]) for column in ("iban", "bic"))
        name = row.cells["holder_name"].strip()
        if payee_id in payee_ids:
            problems.add(file, row.line, "payee_id", f"payee {payee_id} appears twice in the file")
        account = BankAccount(payee_id, name, iban, bic or None, row.cells["email"].strip() or None)
        for column, problem in account_problems(account).items():
            problems.add(file, row.line, column, f"payee {payee_id}: {problem}")
        accounts[row.line] = account
        payee_ids.add(payee_id)
    if problems.found:
        raise FileRefusedError(problems.found)
    return accounts
