"""Read payment status reports (ISO 20022 pain.002): the bank's answers about a message, a batch in it, or a payment.

A status above the single payment applies to every payment below it. Versions 001.03 to 001.14 are read, and the German
002.03 and 003.03; the parts that are read have the same names and places in all of them.
"""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from billing.payouts.answers import Acknowledgement, Answer, BatchAcknowledgement
from billing.payouts.file_iso20022 import ALLOWED, Document, Iso20022Reader
from billing.payouts.payouts import EXECUTED, REJECTED
from ingestion.contract.requests import FileRefusedError

NAMES = r"pain\.002\.(001\.(0[3-9]|1[0-4])|00[23]\.03)"

_FINAL = {"ACSC": EXECUTED, "ACCC": EXECUTED, "RJCT": REJECTED, "CANC": REJECTED}
_ON_ITS_WAY = frozenset(
    ["ACCP", "ACFC", "ACPD", "ACSP", "ACTC", "ACWC", "ACWP", "BLCK", "PART", "PATC", "PDNG", "PRES", "RCVD"]
)
"""Statuses before the final one (ISO 20022 ExternalPaymentGroupStatus1Code and the like): they have no effect."""
_DUPLICATE = frozenset({"AM05", "DU01", "DU02", "DU03", "DU04", "DU05"})
"""Rejection reasons that mean "duplicate". The first payment may well have been paid."""
_NOT_PROVIDED = ("", "NOTPROVIDED")


def read_status_report(document: Document) -> Answer:
    """Return the answers of a payment status report.

    Raises:
        FileRefusedError: it is not a payment status report, or has a status that cannot be booked; names every problem.
    """
    if re.fullmatch(NAMES, document.kind) is None:
        raise FileRefusedError([f"{document.file}: not an answer of a bank but {document.kind!r}; {ALLOWED}"])
    reader = _Reader(document)
    if (report := reader.child(document.root, "CstmrPmtStsRpt")) is None:
        raise FileRefusedError([f"{document.file}: the document has no CstmrPmtStsRpt; {ALLOWED}"])
    answer = reader.read(report)
    if reader.problems:
        raise FileRefusedError(reader.problems)
    return answer


@dataclass(frozen=True)
class _Status:
    """A status at its level."""

    code: str
    outcome: str | None
    reason: str
    place: str


class _Reader(Iso20022Reader):
    """Walks a report once."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._payments: list[Acknowledgement] = []
        self._batches: list[BatchAcknowledgement] = []
        self._on_their_way: list[str] = []

    def read(self, report: Element) -> Answer:
        """Return the report's answers; do not use it if there are problems."""
        group = self.child(report, "OrgnlGrpInfAndSts")
        message_id = self._check_original(group)
        of_group = self._read_batch(group, "GrpSts", "the group's status", batch_id=message_id)
        payment_count = 0
        for index, batch in enumerate(self.children(report, "OrgnlPmtInfAndSts"), 1):
            named = self.text(batch, "OrgnlPmtInfId")
            batch_id = message_id if named in _NOT_PROVIDED else named
            of_batch = self._read_batch(batch, "PmtInfSts", f"payment information {index}", batch_id=batch_id)
            self._check_agree(of_group, of_batch)
            for payment in self.children(batch, "TxInfAndSts"):
                payment_count += 1
                of_payment = self._read_payment(payment, payment_count, batch_id)
                self._check_agree(of_batch or of_group, of_payment)
        if not (self._payments or self._batches or self._on_their_way or self.problems):
            self.problems.append(f"{self.name}: the report has no status of anything (GrpSts, PmtInfSts, TxSts)")
        return Answer(tuple(self._payments), tuple(self._batches), tuple(self._on_their_way))

    def _check_original(self, group: Element | None) -> str:
        """Return the message that the report answers."""
        if (kind := self.text(group, "OrgnlMsgNmId")) and not kind.startswith("pain.001"):
            self.problems.append(f"{self.name}: the report answers a {kind[:40]!r}, and payouts are sent as pain.001")
        message_id = self.text(group, "OrgnlMsgId")
        return "" if message_id in _NOT_PROVIDED else message_id

    def _read_batch(self, node: Element | None, name: str, place: str, *, batch_id: str) -> _Status | None:
        status = self._status(node, name, place)
        if node is None or status is None or status.outcome is None:
            return status
        if not batch_id:
            self.problems.append(f"{status.place}: {status.code}, and it names neither OrgnlPmtInfId nor OrgnlMsgId")
            return status
        count = self.text(node, "OrgnlNbOfTxs")
        payment_count = int(count) if re.fullmatch("[0-9]{1,15}", count) else None
        sum_micros = self.amount(self.child(node, "OrgnlCtrlSum"), status.place)
        self._batches.append(
            BatchAcknowledgement(batch_id, status.outcome, status.reason, status.place, payment_count, sum_micros)
        )
        return status

    def _read_payment(self, node: Element, number: int, batch_id: str) -> _Status | None:
        status = self._status(node, "TxSts", f"payment {number}")
        if status is None or status.outcome is None:
            return status
        item_id = self.text(node, "OrgnlEndToEndId")
        if not item_id:
            self.problems.append(f"{status.place}: {status.code}, and no OrgnlEndToEndId names the payment")
            return status
        amount = self.child(node, "OrgnlTxRef", "Amt", "InstdAmt")
        amount_micros = self.amount(amount, status.place)
        currency = "" if amount is None else amount.get("Ccy", "")
        self._payments.append(
            Acknowledgement(item_id, status.outcome, amount_micros, currency, status.reason, status.place, batch_id)
        )
        return status

    def _check_agree(self, upper: _Status | None, lower: _Status | None) -> None:
        """Note a status that contradicts a final one above it."""
        if upper and lower and upper.outcome and lower.outcome != upper.outcome:
            self.problems.append(
                f"{lower.place}: {lower.code}, and {upper.code} applies to all of them ({upper.place})"
            )

    def _status(self, node: Element | None, name: str, place: str) -> _Status | None:
        """Return the status of a level; None if it has none, or one that cannot be booked."""
        place = f"{self.name}, {place}"
        code = self.text(node, name)
        if node is None or not code:
            return None
        outcome = _FINAL.get(code)
        codes, reason = self._reason(node)
        if outcome is None and code not in _ON_ITS_WAY:
            self.problems.append(f"{place}: {code[:40]!r} is not a status of ISO 20022 that viewledger knows")
            return None
        if outcome is None:
            self._on_their_way.append(f"{place}: {code}")
        elif outcome == REJECTED and (duplicate := codes & _DUPLICATE):
            self.problems.append(
                f"{place}: rejected because it came before ({', '.join(sorted(duplicate))}); the first one may have "
                "been paid: ask the bank for its status, and import the answer as csv"
            )
            return None
        return _Status(code, outcome, reason, place)

    def _reason(self, node: Element) -> tuple[set[str], str]:
        """Return the codes of the reasons, and all their texts as one text."""
        codes, texts = [], []
        for each in self.children(node, "StsRsnInf"):
            code = self.text(self.child(each, "Rsn", "Cd")) or self.text(self.child(each, "Rsn", "Prtry"))
            codes.append(code)
            texts += [code, *(self.text(more) for more in self.children(each, "AddtlInf"))]
        return set(codes), self.printable(texts)
