"""Payout files for the bank: ISO 20022 pain.001 for SEPA, or CSV."""

import csv
import io
import re

from sepaxml import SepaTransfer
from sepaxml.validation import ValidationError, try_valid_xml

from billing.money import decimal_text, minor_unit_micros
from billing.payouts.bank_data import BankAccount, account_problems, bank_text
from billing.payouts.payouts import SEPA, PayoutBatch
from ingestion.contract.requests import FileRefusedError

SCHEMA = "pain.001.001.03"
CSV_COLUMNS = ("item_id", "payee_id", "holder_name", "iban", "bic", "amount", "currency", "execution_on", "batch_id")


def pain_001(batch: PayoutBatch, debtor: BankAccount) -> bytes:
    """Return a batch as a SEPA credit transfer that the schema allows: the same bytes every time.

    Raises:
        FileRefusedError: the currency is not EUR, or a bank account of the batch is not valid for the file.
    """
    if batch.currency != SEPA:
        raise FileRefusedError([f"a SEPA transfer is in EUR, and batch {batch.batch_id} in {batch.currency}; use csv"])
    _check_accounts(batch)
    config = {"name": bank_text(debtor.holder_name), "IBAN": debtor.iban, "batch": True, "currency": batch.currency}
    transfer = SepaTransfer(config | _bic(debtor), schema=SCHEMA, clean=False)
    for item in batch.items:
        account = batch.accounts[item.payee_id]
        payment = {
            "name": bank_text(account.holder_name),
            "IBAN": account.iban,
            "amount": item.amount_micros // minor_unit_micros(batch.currency),
            "execution_date": batch.execution_on,
            "description": bank_text(f"Views, {item.payee_id}, {batch.batch_id}"),
            "endtoend_id": item.item_id,
        }
        transfer.add_payment(payment | _bic(account))
    text: bytes = transfer.export(validate=False)
    # The library makes ids and a time of its own; a bank knows a file that was sent again by ours.
    created = batch.created_at.strftime("%Y-%m-%dT%H:%M:%S")
    for name, value in (("MsgId", batch.batch_id), ("PmtInfId", batch.batch_id), ("CreDtTm", created)):
        text = re.sub(rf"<{name}>[^<]*</{name}>".encode(), f"<{name}>{value}</{name}>".encode(), text)
    try:
        try_valid_xml(text, SCHEMA)
    except ValidationError as error:  # its cause repeats the file, including bank data
        place = getattr(error.__cause__, "path", None)
        raise FileRefusedError([f"batch {batch.batch_id}: the file is not as {SCHEMA} wants it at {place}"]) from None
    return text


def _check_accounts(batch: PayoutBatch) -> None:
    """Refuse a batch from before accounts were validated this strictly."""
    problems = [
        f"batch {batch.batch_id}, payee {payee_id}, column {column} of its bank account: {problem}; void the batch "
        f"(`billing payouts void --batch {batch.batch_id} --reason TEXT`), import the right account and make another"
        for payee_id, account in batch.accounts.items()
        for column, problem in account_problems(account).items()
    ]
    if problems:
        raise FileRefusedError(problems)


def _bic(account: BankAccount) -> dict[str, str]:
    return {"BIC": account.bic} if account.bic else {}


def payout_csv(batch: PayoutBatch) -> bytes:
    """Return a batch as CSV, one payment a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for item in batch.items:
        account = batch.accounts[item.payee_id]
        amount = decimal_text(item.amount_micros, batch.currency)
        of_batch = [batch.currency, batch.execution_on.isoformat(), batch.batch_id]
        who = [item.item_id, item.payee_id, account.holder_name, account.iban, account.bic or ""]
        writer.writerow([*who, amount, *of_batch])
    return text.getvalue().encode()
