"""Read a file of the bank: a payment status report (pain.002), its own account of it (camt.053, camt.054), or CSV."""

from pathlib import Path

from billing.money import written_amount
from billing.payouts.account_entries import AccountReport
from billing.payouts.answers import Acknowledgement, Answer
from billing.payouts.file_account_reports import read_account_report
from billing.payouts.file_iso20022 import read_document
from billing.payouts.file_status_reports import read_status_report
from billing.payouts.payouts import OUTCOMES
from billing.terms.currency import CURRENCIES
from billing.terms.file_csv import CsvRow, Problems, read_content, rows_of, shown
from ingestion.contract.requests import FileRefusedError

COLUMNS = ("item_id", "outcome", "amount", "currency", "reason")
_XML_BEGINS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\x00<")


def read_answer(file: Path) -> Answer | AccountReport:
    """Return the bank's answers, or what it booked: by its kind if the file is XML, else a CSV with these COLUMNS.

    Raises:
        FileRefusedError: it cannot be read, or is empty; names every problem.
    """
    content = read_content(file)
    if not content.strip():
        raise FileRefusedError([f"{file}: the file is empty"])
    if content.lstrip().startswith(_XML_BEGINS):
        document = read_document(str(file), content)
        return (read_account_report if document.kind.startswith("camt.05") else read_status_report)(document)
    problems = Problems()
    read = [_acknowledgement(file, row, problems) for row in rows_of(file, COLUMNS, ("reason",), problems)]
    if not read and not problems.found:
        problems.found.append(f"{file}: there is no line below the header, so the bank says nothing")
    if problems.found:
        raise FileRefusedError(problems.found)
    return Answer(payments=tuple(read))


def _acknowledgement(file: Path, row: CsvRow, problems: Problems) -> Acknowledgement:
    outcome, currency = row.cells["outcome"], row.cells["currency"]
    if outcome not in OUTCOMES:
        problems.add(file, row.line, "outcome", f"{shown(outcome)} is not one of {', '.join(OUTCOMES)}")
    amount_micros = None
    if currency not in CURRENCIES:
        problems.add(file, row.line, "currency", f"{shown(currency)} is not a currency of ISO 4217, like EUR")
    else:
        try:
            amount_micros = written_amount(row.cells["amount"], currency)
        except ValueError as error:
            problems.add(file, row.line, "amount", str(error))
    return Acknowledgement(
        row.cells["item_id"], outcome, amount_micros, currency, row.cells["reason"], f"{file}, line {row.line}"
    )
