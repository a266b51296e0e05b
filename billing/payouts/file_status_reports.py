"""Read payment status reports (ISO 20022 pain.002): the bank's answers about a message, a batch in it, or a payment.

A status above the single payment applies to every payment below it. Versions 001.03 to 001.14 are read, and the German
002.03 and 003.03; the parts that are read have the same names and places in all of them.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from billing.money import MICROS
from billing.payouts.answers import Acknowledgement, Answer, BatchAcknowledgement
from billing.payouts.payouts import REJECTED, SETTLED
from ingestion.contract.printable import is_printable
from ingestion.contract.requests import FileRefusedError

BYTES_MAX = 64 << 20
REASON_CHARACTERS_MAX = 500
NAMESPACE = r"urn:iso:std:iso:20022:tech:xsd:pain\.002\.(001\.(0[3-9]|1[0-4])|00[23]\.03)"
ALLOWED = "a payment status report is pain.002.001.03 to pain.002.001.14"

_FINAL = {"ACSC": SETTLED, "ACCC": SETTLED, "RJCT": REJECTED, "CANC": REJECTED}
_ON_ITS_WAY = frozenset(
    ["ACCP", "ACFC", "ACPD", "ACSP", "ACTC", "ACWC", "ACWP", "BLCK", "PART", "PATC", "PDNG", "PRES", "RCVD"]
)
"""Statuses before the final one (ISO 20022 ExternalPaymentGroupStatus1Code and the like): they have no effect."""
_DUPLICATE = frozenset({"AM05", "DU01", "DU02", "DU03", "DU04", "DU05"})
"""Rejection reasons that mean "duplicate". The first payment may well have been paid."""
_NOT_PROVIDED = ("", "NOTPROVIDED")


class _Builder(TreeBuilder):
    """Refuses a document type, and with it every entity, before reading it."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise FileRefusedError([f"a payment status report has no document type (<!DOCTYPE …>); {ALLOWED}"])


def read_status_report(name: str, content: bytes) -> Answer:
    """Return the answers of a payment status report; messages call the file `name`.

    Raises:
        FileRefusedError: it is not a payment status report, or has a status that cannot be booked; names every problem.
    """
    report = _report(name, content)
    reader = _Reader(name, report.tag.rpartition("}")[0] + "}")
    answer = reader.read(report)
    if reader.problems:
        raise FileRefusedError(reader.problems)
    return answer


def _report(name: str, content: bytes) -> Element:
    if len(content) > BYTES_MAX:
        raise FileRefusedError([f"{name}: {len(content)} bytes; a payment status report has at most {BYTES_MAX}"])
    parser = XMLParser(target=_Builder())  # noqa: S314  a document type is refused, so there are no entities
    try:
        parser.feed(content.lstrip())
        root: Element = parser.close()
    except FileRefusedError as error:
        raise FileRefusedError([f"{name}: {problem}" for problem in error.problems]) from error
    except (ParseError, ValueError, LookupError) as error:  # the latter two: an unknown encoding
        raise FileRefusedError([f"{name}: not readable as XML: {error}; {ALLOWED}"]) from error
    namespace, _, tag = root.tag.rpartition("}")
    if tag != "Document" or re.fullmatch(NAMESPACE, namespace.removeprefix("{")) is None:
        found = namespace.removeprefix("{").rpartition(":")[2][:60] or tag[:60]
        raise FileRefusedError([f"{name}: not a payment status report but {found!r}; {ALLOWED}"])
    report = root.find(f"{namespace}}}CstmrPmtStsRpt")
    if report is None:
        raise FileRefusedError([f"{name}: the document has no CstmrPmtStsRpt; {ALLOWED}"])
    return report


@dataclass(frozen=True)
class _Status:
    """A status at its level."""

    code: str
    outcome: str | None
    reason: str
    place: str


class _Reader:
    """Walks a report once, and notes every problem."""

    def __init__(self, name: str, namespace: str) -> None:
        self._name = name
        self._namespace = namespace
        self.problems: list[str] = []
        self._payments: list[Acknowledgement] = []
        self._batches: list[BatchAcknowledgement] = []
        self._on_their_way: list[str] = []

    def read(self, report: Element) -> Answer:
        """Return the report's answers; do not use it if there are problems."""
        group = self._child(report, "OrgnlGrpInfAndSts")
        message_id = self._check_original(group)
        of_group = self._read_batch(group, "GrpSts", "the group's status", batch_id=message_id)
        payment_count = 0
        for index, batch in enumerate(report.findall(self._path("OrgnlPmtInfAndSts")), 1):
            named = self._text(batch, "OrgnlPmtInfId")
            batch_id = message_id if named in _NOT_PROVIDED else named
            of_batch = self._read_batch(batch, "PmtInfSts", f"payment information {index}", batch_id=batch_id)
            self._check_agree(of_group, of_batch)
            for payment in batch.findall(self._path("TxInfAndSts")):
                payment_count += 1
                of_payment = self._read_payment(payment, payment_count, batch_id)
                self._check_agree(of_batch or of_group, of_payment)
        if not (self._payments or self._batches or self._on_their_way or self.problems):
            self.problems.append(f"{self._name}: the report has no status of anything (GrpSts, PmtInfSts, TxSts)")
        return Answer(tuple(self._payments), tuple(self._batches), tuple(self._on_their_way))

    def _check_original(self, group: Element | None) -> str:
        """Return the message that the report answers."""
        if (kind := self._text(group, "OrgnlMsgNmId")) and not kind.startswith("pain.001"):
            self.problems.append(f"{self._name}: the report answers a {kind[:40]!r}, and payouts are sent as pain.001")
        message_id = self._text(group, "OrgnlMsgId")
        return "" if message_id in _NOT_PROVIDED else message_id

    def _read_batch(self, node: Element | None, name: str, place: str, *, batch_id: str) -> _Status | None:
        status = self._status(node, name, place)
        if node is None or status is None or status.outcome is None:
            return status
        if not batch_id:
            self.problems.append(f"{status.place}: {status.code}, and it names neither OrgnlPmtInfId nor OrgnlMsgId")
            return status
        count = self._text(node, "OrgnlNbOfTxs")
        payment_count = int(count) if re.fullmatch("[0-9]{1,15}", count) else None
        sum_micros = self._amount(self._child(node, "OrgnlCtrlSum"), status.place)
        self._batches.append(
            BatchAcknowledgement(batch_id, status.outcome, status.reason, status.place, payment_count, sum_micros)
        )
        return status

    def _read_payment(self, node: Element, number: int, batch_id: str) -> _Status | None:
        status = self._status(node, "TxSts", f"payment {number}")
        if status is None or status.outcome is None:
            return status
        item_id = self._text(node, "OrgnlEndToEndId")
        if not item_id:
            self.problems.append(f"{status.place}: {status.code}, and no OrgnlEndToEndId names the payment")
            return status
        amount = self._child(node, "OrgnlTxRef", "Amt", "InstdAmt")
        amount_micros = self._amount(amount, status.place)
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
        place = f"{self._name}, {place}"
        code = self._text(node, name)
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
        for each in node.findall(self._path("StsRsnInf")):
            code = self._text(self._child(each, "Rsn", "Cd")) or self._text(self._child(each, "Rsn", "Prtry"))
            codes.append(code)
            texts += [code, *(self._text(more) for more in each.findall(self._path("AddtlInf")))]
        text = " ".join(" ".join(filter(None, texts)).split())
        return set(codes), "".join(filter(is_printable, text))[:REASON_CHARACTERS_MAX]

    def _amount(self, node: Element | None, place: str) -> int | None:
        """Return an amount as XML writes decimals (at most 18 digits, 5 of them after the point); None for none."""
        if node is None:
            return None
        text = self._text(node)
        if re.fullmatch(r"\+?(?=.?[0-9])[0-9]{0,15}(\.[0-9]{0,6}0{0,12})?", text) is None:
            self.problems.append(f"{place}: {text[:40]!r} is not an amount like 12.34")
            return None
        return int(Decimal(text) * MICROS)

    def _path(self, *names: str) -> str:
        return "/".join(self._namespace + name for name in names)

    def _child(self, node: Element | None, *names: str) -> Element | None:
        return None if node is None else node.find(self._path(*names))

    def _text(self, node: Element | None, *names: str) -> str:
        found = self._child(node, *names) if names else node
        return "" if found is None else (found.text or "").strip()
