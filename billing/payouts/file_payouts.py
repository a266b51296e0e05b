"""Payout files for the bank (ISO 20022 pain.001, CSV), and what the bank answers (pain.002, CSV)."""

import csv
import io
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser

from sepaxml import SepaTransfer
from sepaxml.validation import try_valid_xml

from billing.errors import FileRefusedError
from billing.money import MICROS
from billing.payouts.payouts import (
    OUTCOMES,
    REJECTED,
    SETTLED,
    Acknowledgement,
    BankAccount,
    PayoutBatch,
    minor_unit_micros,
)
from billing.terms.file_csv import Problems, Row, read_text, rows_of, shown

SCHEMA = "pain.001.001.03"
CSV_COLUMNS = ("item_id", "payee_id", "holder_name", "iban", "bic", "amount", "currency", "execution_on", "batch_id")
ACKNOWLEDGEMENT_COLUMNS = ("item_id", "outcome", "amount", "currency", "reason")
_PAIN_002_OUTCOMES = {"ACSC": SETTLED, "ACCC": SETTLED, "RJCT": REJECTED}
"""Transaction states of pain.002 that are final; all others say that the payment is on its way."""


def pain_001(batch: PayoutBatch, debtor: BankAccount) -> bytes:
    """Return a batch as a SEPA credit transfer: the same bytes however often it is written.

    Raises:
        FileRefusedError: the currency is not EUR.
    """
    if batch.currency != "EUR":
        raise FileRefusedError([f"a SEPA transfer is in EUR, and batch {batch.batch_id} in {batch.currency}; use csv"])
    config = {"name": debtor.holder_name, "IBAN": debtor.iban, "batch": True, "currency": batch.currency}
    transfer = SepaTransfer(config | _bic(debtor), schema=SCHEMA, clean=True)
    for item in batch.items:
        account = batch.accounts[item.payee_id]
        payment = {
            "name": account.holder_name,
            "IBAN": account.iban,
            "amount": item.amount_micros // minor_unit_micros(batch.currency),
            "execution_date": batch.execution_on,
            "description": f"Views, {item.payee_id}, {batch.batch_id}",
            "endtoend_id": item.item_id,
        }
        transfer.add_payment(payment | _bic(account))
    text: bytes = transfer.export(validate=False)
    # The library makes ids and a time of its own; a bank knows a file that was sent again by ours.
    created = batch.created_at.strftime("%Y-%m-%dT%H:%M:%S")
    for name, value in (("MsgId", batch.batch_id), ("PmtInfId", batch.batch_id), ("CreDtTm", created)):
        text = re.sub(rf"<{name}>[^<]*</{name}>".encode(), f"<{name}>{value}</{name}>".encode(), text)
    try_valid_xml(text, SCHEMA)
    return text


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


def decimal_text(amount_micros: int, currency: str) -> str:
    """Return an amount with the decimals that its currency has."""
    unit = minor_unit_micros(currency)
    digits = len(str(MICROS // unit)) - 1
    whole, rest = divmod(amount_micros // unit, MICROS // unit)
    return f"{whole}.{rest:0{digits}}" if digits else str(whole)


def read_acknowledgements(file: Path) -> list[Acknowledgement]:
    """Read what the bank says: pain.002 when it is XML, else CSV with the columns of ACKNOWLEDGEMENT_COLUMNS.

    Raises:
        FileRefusedError: it cannot be read; with every problem.
    """
    text = read_text(file)
    if text.lstrip().startswith("<"):
        return _read_pain_002(file, text)
    problems = Problems()
    read = [
        _acknowledgement(file, row, problems) for row in rows_of(file, ACKNOWLEDGEMENT_COLUMNS, ("reason",), problems)
    ]
    if problems.found:
        raise FileRefusedError(problems.found)
    return read


def _acknowledgement(file: Path, row: Row, problems: Problems) -> Acknowledgement:
    outcome = row.cells["outcome"]
    if outcome not in OUTCOMES:
        problems.add(file, row.line, "outcome", f"{shown(outcome)} is not one of {', '.join(OUTCOMES)}")
    amount_micros = _micros(row.cells["amount"])
    if amount_micros is None:
        problems.add(file, row.line, "amount", f"{shown(row.cells['amount'])} is not an amount like 12.34")
    place = f"{file}, line {row.line}"
    currency, reason = row.cells["currency"], row.cells["reason"]
    return Acknowledgement(row.cells["item_id"], outcome, amount_micros or 0, currency, reason, place)


def _micros(text: str) -> int | None:
    if not re.fullmatch(r"\d{1,15}(\.\d{1,6})?", text, re.ASCII):
        return None
    try:
        return int(Decimal(text) * MICROS)
    except InvalidOperation:
        return None


def _read_pain_002(file: Path, text: str) -> list[Acknowledgement]:
    """Read the final states of a payment status report; what is still on its way is left out."""
    if "<!" in text:
        raise FileRefusedError([f"{file}: a payment status report has no document type and no comments"])
    parser = XMLParser()  # noqa: S314  without a document type there are no entities to expand
    try:
        parser.feed(text)
        root: Element = parser.close()
    except ParseError as error:
        raise FileRefusedError([f"{file}: not readable as XML: {error}"]) from error
    found, problems = [], []
    for number, each in enumerate((node for node in root.iter() if _name(node) == "TxInfAndSts"), 1):
        values = {_name(node): (node.text or "").strip() for node in each.iter()}
        amounts = [node for node in each.iter() if _name(node) == "InstdAmt"]
        place = f"{file}, payment {number}"
        outcome = _PAIN_002_OUTCOMES.get(values.get("TxSts", ""))
        amount_micros = _micros((amounts[0].text or "").strip()) if amounts else None
        if outcome and (amount_micros is None or "OrgnlEndToEndId" not in values):
            problems.append(f"{place}: OrgnlEndToEndId or the original InstdAmt is missing")
        elif outcome:
            reason = values.get("Cd", "") + (f" {values['AddtlInf']}" if "AddtlInf" in values else "")
            currency = amounts[0].get("Ccy", "")
            item_id = values["OrgnlEndToEndId"]
            found.append(Acknowledgement(item_id, outcome, amount_micros or 0, currency, reason, place))
    if problems:
        raise FileRefusedError(problems)
    return found


def _name(node: Element) -> str:
    return node.tag.rpartition("}")[2]
