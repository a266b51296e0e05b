"""Reads payees' bank accounts from CSV; a message names line and column and never repeats what stands there."""

import re
from pathlib import Path

from billing.errors import FileRefusedError
from billing.payouts.payouts import BankAccount, is_iban
from billing.terms.file_csv import Problems, read_id, rows_of
from ingestion.contract.printable import is_name

COLUMNS = ("payee_id", "holder_name", "iban", "bic")


def read_bank_accounts(file: Path) -> list[BankAccount]:
    """Return the accounts of a file, each payee once; spaces in an IBAN are allowed.

    Raises:
        FileRefusedError: with every problem in the file.
    """
    problems, accounts = Problems(), dict[str, BankAccount]()
    for row in rows_of(file, COLUMNS, ("bic",), problems):
        payee_id = read_id(file, row, "payee_id", problems)
        iban = row.cells["iban"].replace(" ", "").upper()
        bic = row.cells["bic"].strip().upper() or None
        name = row.cells["holder_name"].strip()
        if payee_id in accounts:
            problems.add(file, row.line, "payee_id", f"payee {payee_id} stands twice in the file")
        if not is_name(name, most=70):
            problems.add(file, row.line, "holder_name", "must be 1 to 70 printable characters")
        if not is_iban(iban):
            problems.add(file, row.line, "iban", f"payee {payee_id}: not an IBAN, or its check digits are wrong")
        if bic is not None and not re.fullmatch(r"[A-Z0-9]{8}([A-Z0-9]{3})?", bic, re.ASCII):
            problems.add(file, row.line, "bic", f"payee {payee_id}: must be 8 or 11 letters and digits")
        accounts[payee_id] = BankAccount(payee_id, name, iban, bic)
    if problems.found:
        raise FileRefusedError(problems.found)
    return list(accounts.values())
