"""Read what the bank booked on the account: statements (ISO 20022 camt.053) and notifications (camt.054).

Versions 001.02 to 001.13 are read. The parts that are read have the same names in all of them; an amount or a status
that moved to another place is looked for in both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from billing.money import amount_text
from billing.payouts.account_entries import AccountEntry, AccountReport, EntryPart
from billing.payouts.file_iso20022 import ALLOWED, Document, Iso20022Reader
from billing.terms.currency import CURRENCIES
from ingestion.contract.instants import day_of_text
from ingestion.contract.requests import FileRefusedError

NAMES = r"camt\.05[34]\.001\.(0[2-9]|1[0-3])"
REPORTS = (("BkToCstmrStmt", "Stmt"), ("BkToCstmrDbtCdtNtfctn", "Ntfctn"))
_FEES = frozenset({"CHRG", "COME", "COMI", "COMM", "COMT", "FEES"})
"""Bank transaction codes (ISO 20022 ExternalBankTransactionSubFamily1Code) of what the bank charges."""
_NOT_BOOKED = frozenset({"PDNG", "INFO", "FUTR"})
_NOT_PROVIDED = frozenset({"", "NOTPROVIDED", "NONREF", "NOREF"})
_BALANCES = {"OPBD": "opening", "PRCD": "opening", "CLBD": "closing"}
_SIGNS = {"CRDT": 1, "DBIT": -1}


def read_account_report(document: Document) -> AccountReport:
    """Return the booked movements of a camt.053 or camt.054.

    Raises:
        FileRefusedError: it is neither, is of two accounts, does not add up, or has a movement that cannot be told from
            another one; names every problem.
    """
    if re.fullmatch(NAMES, document.kind) is None:
        raise FileRefusedError([f"{document.file}: not an account statement but {document.kind!r}; {ALLOWED}"])
    reader = _Reader(document)
    report = reader.read(document.root)
    if reader.problems:
        raise FileRefusedError(reader.problems)
    return report


@dataclass(frozen=True)
class _Movement:
    """What all parts of a movement have in common, and its signed amount."""

    statement: str
    reference: str
    booked_on: date
    currency: str
    amount_micros: int
    place: str


class _Reader(Iso20022Reader):
    """Walks a report once."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._pending_count = 0

    def read(self, root: Element) -> AccountReport:
        """Return the movements; do not use them if there are problems."""
        statements = [each for names in REPORTS for each in self.children(root, *names)]
        ibans = {self.text(each, "Acct", "Id", "IBAN").replace(" ", "") for each in statements}
        if not statements:
            self.problems.append(f"{self.name}: the document has no Stmt and no Ntfctn; {ALLOWED}")
        elif len(ibans) > 1 or "" in ibans:
            self.problems.append(
                f"{self.name}: of {len(ibans)} accounts; give a file of one account, named by its IBAN"
            )
        entries = [entry for each in statements for entry in self._statement(each)]
        return AccountReport(next(iter(ibans), ""), tuple(entries), self._pending_count)

    def _statement(self, statement: Element) -> Iterator[AccountEntry]:
        identity = self.printable([self.text(statement, "Id")])[:35]
        place = f"{self.name}, statement {identity!r}"
        if not identity:
            self.problems.append(f"{self.name}: a statement has no Id")
            return
        booked: dict[str, int] = {}
        for number, node in enumerate(self.children(statement, "Ntry"), 1):
            movement = self._movement(node, identity, f"{place}, entry {number}")
            if movement is not None:
                booked[movement.currency] = booked.get(movement.currency, 0) + movement.amount_micros
                yield from self._entries(node, movement)
        self._check_balances(statement, booked, place)

    def _movement(self, node: Element, statement: str, place: str) -> _Movement | None:
        """Return a booked movement; None if it is not booked, or has a problem."""
        status = self.text(node, "Sts", "Cd") or self.text(node, "Sts")
        if status in _NOT_BOOKED:
            self._pending_count += 1
            return None
        if status != "BOOK":
            allowed = "BOOK, PDNG, INFO and FUTR are"
            self.problems.append(f"{place}: {status[:40]!r} is not a status of a movement; {allowed}")
            return None
        amount_micros = self.amount(self.child(node, "Amt"), place)
        if amount_micros is None:
            return None
        currency = self._currency(self.child(node, "Amt"))
        sign = _SIGNS.get(self.text(node, "CdtDbtInd"))
        day = self.text(node, "BookgDt", "Dt") or self.text(node, "BookgDt", "DtTm")
        try:
            booked_on = day_of_text(day[:10])
        except ValueError:
            booked_on = date.min
        if not amount_micros or currency not in CURRENCIES or sign is None or booked_on.year < 2000:
            self.problems.append(
                f"{place}: a booked movement has an Amt above 0 in a currency of ISO 4217, a CdtDbtInd and a BookgDt "
                f"of 2000 or later; this one has {amount_micros}, {currency[:10]!r}, {sign}, {day[:20]!r}"
            )
            return None
        reference = self._reference(self.text(node, "AcctSvcrRef"))
        return _Movement(statement, reference, booked_on, currency, sign * amount_micros, place)

    def _entries(self, node: Element, movement: _Movement) -> Iterator[AccountEntry]:
        """Yield a movement with the parts that the bank details; one for each part if only those have references."""
        details = self.children(node, "NtryDtls", "TxDtls")
        parts = [self._part(each, node, movement, is_only=len(details) == 1) for each in details]
        if None in parts:
            return
        whole = EntryPart("", movement.amount_micros, self._charges(node, movement))
        found = [each for each in parts if each is not None] or [whole]
        if sum(each.amount_micros for each in found) != movement.amount_micros:
            self.problems.append(
                f"{movement.place}: its {len(found)} parts do not add up to "
                f"{amount_text(movement.amount_micros, movement.currency)}"
            )
            return
        references = [self._reference(self.text(each, "Refs", "AcctSvcrRef")) for each in details]
        grouped = [(movement.reference, tuple(found))] if movement.reference else []
        if not grouped and references and all(references):
            grouped = [(reference, (part,)) for reference, part in zip(references, found, strict=True)]
        if not grouped:
            self.problems.append(
                f"{movement.place}: no AcctSvcrRef names the movement, so it cannot be told from another one like it; "
                "ask the bank for statements with references"
            )
        code = self.text(node, "BkTxCd", "Domn", "Fmly", "SubFmlyCd")
        for reference, each in grouped:
            yield AccountEntry(
                movement.statement, reference, movement.booked_on, movement.currency, each, movement.place,
                batch_id=self._batch_id(node, details), is_fee=code in _FEES,
            )  # fmt: skip

    def _part(self, detail: Element, entry: Element, movement: _Movement, *, is_only: bool) -> EntryPart | None:
        node = self.child(detail, "Amt")
        node = self.child(detail, "AmtDtls", "TxAmt", "Amt") if node is None else node
        sign = _SIGNS.get(self.text(detail, "CdtDbtInd") or self.text(entry, "CdtDbtInd"), 0)
        amount_micros = movement.amount_micros
        if not is_only:
            read = self.amount(node, movement.place)
            if read is None or self._currency(node) != movement.currency:
                self.problems.append(f"{movement.place}: a part of it has no Amt in {movement.currency}")
                return None
            amount_micros = sign * read
        item_id = self.printable([self.text(detail, "Refs", "EndToEndId")])[:35]
        charges_micros = self._charges(detail, movement)
        if is_only and not charges_micros:
            charges_micros = self._charges(entry, movement)
        reasons = [
            self.text(detail, "RtrInf", "Rsn", "Cd") or self.text(detail, "RtrInf", "Rsn", "Prtry"),
            *(self.text(each) for each in self.children(detail, "RtrInf", "AddtlInf")),
        ]
        return EntryPart(
            "" if item_id in _NOT_PROVIDED else item_id, amount_micros, charges_micros, self.printable(reasons)
        )

    def _batch_id(self, node: Element, details: list[Element]) -> str:
        """Return the batch that a movement names: as payment information, or as the message."""
        places = [self.child(node, "NtryDtls", "Btch"), *(self.child(each, "Refs") for each in details[:1])]
        named = (self.text(place, name) for name in ("PmtInfId", "MsgId") for place in places if place is not None)
        return next((each for each in named if each not in _NOT_PROVIDED), "")

    def _charges(self, node: Element, movement: _Movement) -> int:
        """Return the sum of the charges that a movement, or a part of it, states."""
        records = self.children(node, "Chrgs", "Rcrd", "Amt") or self.children(node, "Chrgs", "TtlChrgsAndTaxAmt")
        charges = records or self.children(node, "Chrgs", "Amt")
        own = [each for each in charges if self._currency(each) == movement.currency]
        return sum(self.amount(each, movement.place) or 0 for each in own)

    def _check_balances(self, statement: Element, booked: dict[str, int], place: str) -> None:
        """Note a statement whose opening balance and movements do not give its closing balance."""
        found: dict[tuple[str, str], int] = {}
        for balance in self.children(statement, "Bal"):
            code, node = self.text(balance, "Tp", "CdOrPrtry", "Cd"), self.child(balance, "Amt")
            sign, amount_micros = _SIGNS.get(self.text(balance, "CdtDbtInd"), 0), self.amount(node, place) or 0
            kind = _BALANCES.get(code, code)
            found.setdefault((kind, self._currency(node)), sign * amount_micros)
        for (code, currency), opening in found.items():
            closing = found.get(("closing", currency))
            if code == "opening" and closing is not None and opening + booked.get(currency, 0) != closing:
                self.problems.append(
                    f"{place}: {amount_text(opening, currency)} and its movements of "
                    f"{amount_text(booked.get(currency, 0), currency)} do not give {amount_text(closing, currency)}; "
                    "the file is not whole: ask the bank for it again"
                )

    def _currency(self, node: Element | None) -> str:
        return "" if node is None else node.get("Ccy", "")

    def _reference(self, text: str) -> str:
        reference = self.printable([text])[:35]
        return "" if reference in _NOT_PROVIDED else reference
