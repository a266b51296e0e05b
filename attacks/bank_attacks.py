"""Files for and from the bank: invalid accounts, forged answers, other documents."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from attacks.attempts import Attack
from attacks.site import Site
from billing.payouts.account_entries import AccountReport, bank_transaction
from billing.payouts.answers import check_acknowledgements, of_each_payment
from billing.payouts.execution_day import execution_day_problem
from billing.payouts.file_answers import read_answer
from billing.payouts.file_bank_accounts import read_bank_accounts
from billing.payouts.judged_entries import judge
from billing.payouts.payouts import PayoutItem
from ingestion.contract.requests import FileRefusedError

ITEM = PayoutItem("item-of-ann", "VL-EUR-20261201-1", "ann", 1, 5_000_000)
KNOWN = {ITEM.item_id: (ITEM, "EUR", "instructed")}
GOOD_IBAN = "DE89370400440532013000"
REPORT = (
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt><GrpHdr><MsgId>1</MsgId>'
    "<CreDtTm>2026-12-01T00:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{batch}</OrgnlMsgId>"
    "<OrgnlMsgNmId>pain.001.001.03</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts>{payments}</CstmrPmtStsRpt></Document>"
)
PAYMENT = (
    "<OrgnlPmtInfAndSts><OrgnlPmtInfId>{batch}</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>{item}</OrgnlEndToEndId>"
    '<TxSts>{status}</TxSts><OrgnlTxRef><Amt><InstdAmt Ccy="{currency}">{amount}</InstdAmt></Amt></OrgnlTxRef>'
    "</TxInfAndSts></OrgnlPmtInfAndSts>"
)
STATEMENT = (
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S</Id><Acct><Id>'
    "<IBAN>NO9386011117947</IBAN></Id></Acct>{movements}</Stmt></BkToCstmrStmt></Document>"
)
MOVEMENT = (
    '<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt>'
    "<Dt>2026-12-01</Dt></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{item}"
    "</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"
)
NO_REPORTS = (
    "",
    "<html><body>Your session has expired</body></html>",
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt/></Document>',
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"><CstmrCdtTrfInitn/></Document>',
    "<Document/>",
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document>&x;</Document>',
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Document>&b;</Document>',
    "item_id,outcome,amount,currency,reason\n",
    "item_id;outcome;amount;currency;reason\nitem-of-ann;settled;5.00;EUR;\n",
    "\0\0\0\0",
)
BAD_ACCOUNTS = (
    ("Ann", "DE89370400440532013001", ""),
    ("Ann", "DE0037040044053201300", ""),
    ("Ann", "ZZ89370400440532013000", ""),
    ("Ann", "DE8937040044053201300٠", ""),
    ("Ann", GOOD_IBAN, "12345678"),
    ("Ann", GOOD_IBAN, "BNPAFRPPXXX"),
    ("Ann", GOOD_IBAN, "COBADEFF\nX"),
    ("", GOOD_IBAN, ""),
    ("A" * 141, GOOD_IBAN, ""),
    ("\u202eAnn", GOOD_IBAN, ""),
    ("Ann\x1b[2J", GOOD_IBAN, ""),
)
AMOUNTS = ("5.01", "4.99", "500", "5,00", "5_0", "5e0", "٥", "NaN", "Infinity", "-5.00", "0x5", "")


def refusals_of_a_whole_file(site: Site) -> Iterator[str | None]:
    """The bank refuses a whole file, and names no payment; payments that stay instructed would never be paid again."""
    for group in ("RJCT", "CANC"):
        answer = _read(site, REPORT.format(batch=ITEM.batch_id, group=f"<GrpSts>{group}</GrpSts>", payments=""))
        found = answer if isinstance(answer, str) else [each.outcome for each in of_each_payment(answer, KNOWN)[0]]
        yield None if found == ["rejected"] else f"{group} of the whole file gives {found} for its payment"


def documents_that_are_not_answers(site: Site) -> Iterator[str | None]:
    """Statements, orders, web pages and entity bombs in place of an answer; one would be read as an empty answer."""
    for text in NO_REPORTS:
        answer = _read(site, text)
        yield None if isinstance(answer, str) else f"{text[:60]!r} is read as an answer"


def answers_that_do_not_fit(site: Site) -> Iterator[str | None]:
    """Answers about other amounts, other currencies, other batches, payments that were never made, and two at once."""
    plain = {"batch": ITEM.batch_id, "item": ITEM.item_id, "status": "ACSC", "currency": "EUR", "amount": "5.00"}
    changes: list[dict[str, str]] = [{"amount": amount} for amount in AMOUNTS]
    changes += [{"currency": "USD"}, {"batch": "VL-EUR-20261201-2"}, {"item": "item-of-ben"}, {"item": ""}]
    for change in changes:
        fields = plain | change
        payments = PAYMENT.format(**fields)
        yield _unless_refused(site, REPORT.format(batch=fields["batch"], group="", payments=payments), str(change))
    both = PAYMENT.format(**plain) + PAYMENT.format(**plain | {"status": "RJCT"})
    yield _unless_refused(site, REPORT.format(batch=ITEM.batch_id, group="", payments=both), "settled and rejected")


def movements_that_do_not_fit(site: Site) -> Iterator[str | None]:
    """Statements of wrong amounts and repeated movements; one would settle or return what did not move."""
    plain = {"amount": "5.00", "currency": "EUR", "sign": "DBIT", "item": ITEM.item_id, "reference": "R1"}
    changes: list[dict[str, str]] = [{"amount": amount} for amount in AMOUNTS]
    changes += [{"currency": "USD"}, {"item": "item-of-ben"}, {"item": ""}, {"reference": ""}, {"sign": "CRDT"}]
    for change in changes:
        found = _booked(site, MOVEMENT.format(**plain | change))
        yield None if found in ([], ["unknown"]) else f"a movement with {change} gives {found}"
    debit = MOVEMENT.format(**plain)
    found = _booked(site, debit + debit + MOVEMENT.format(**plain | {"reference": "R2"}))
    yield None if found == ["settles", "unknown"] else f"a payment that is debited twice gives {found}"
    back = MOVEMENT.format(**plain | {"sign": "CRDT", "reference": "A"})
    found = _booked(site, debit + MOVEMENT.format(**plain | {"reference": "R2"}) + back)
    yield None if found == ["settles", "unknown", "unknown"] else f"a second debit that is taken back gives {found}"
    returns = [MOVEMENT.format(**plain | {"sign": "CRDT", "reference": each}) for each in "AB"]
    found = _booked(site, debit + "".join(returns))
    yield None if found == ["settles", "returns", "unknown"] else f"a payment that comes back twice gives {found}"


def _booked(site: Site, movements: str) -> list[str]:
    """Return the purposes that the movements of a statement get; none if it is refused."""
    report = _read(site, STATEMENT.format(movements=movements))
    if not isinstance(report, AccountReport):
        return []
    kept = judge(report.iban, report.entries, KNOWN, ())
    if kept.problems:
        return []
    return [each.purpose if each.purpose != "unknown" or bank_transaction(each) else "unposted" for each in kept.new]


def accounts_that_are_none(site: Site) -> Iterator[str | None]:
    """Accounts with wrong check digits, foreign BICs and names of control characters; one would stop a whole batch."""
    for name, iban, bic in BAD_ACCOUNTS:
        file = site.file("accounts.csv", f'payee_id,holder_name,iban,bic\nann,"{name}",{iban},"{bic}"\n')
        yield _unless_raised(read_bank_accounts, file, f"{name[:20]!r} {iban} {bic!r}")


def batches_of_another_day(_: Site) -> Iterator[str | None]:
    """A batch that is executed in the past or far ahead; the ledger would be back-dated, or money be out of sight."""
    today = date(2026, 12, 1)
    for days in (-1, -2_500, 366, 40_000):
        is_refused = execution_day_problem(today + timedelta(days=days), today) is not None
        yield None if is_refused else f"a batch {days} days from today is accepted"


def _read(site: Site, text: str) -> Any:
    """Return the answers that are read, or the first sentence of the refusal."""
    try:
        return read_answer(site.file("answer.xml", text))
    except FileRefusedError as error:
        return error.problems[0]


def _unless_refused(site: Site, text: str, what: str) -> str | None:
    answer = _read(site, text)
    if isinstance(answer, str):
        return None
    acknowledged, problems = of_each_payment(answer, KNOWN)
    is_refused = [*problems, *check_acknowledgements(acknowledged, KNOWN)]
    return None if is_refused else f"an answer with {what} is taken over"


def _unless_raised(read: Callable[[Path], object], file: Path, what: str) -> str | None:
    try:
        read(file)
    except FileRefusedError:
        return None
    return f"{what} is imported"


FAMILY: dict[str, Attack] = {
    "bank-whole-file-refused": refusals_of_a_whole_file,
    "bank-no-answer": documents_that_are_not_answers,
    "bank-unfitting-answer": answers_that_do_not_fit,
    "bank-unfitting-movement": movements_that_do_not_fit,
    "bank-accounts": accounts_that_are_none,
    "bank-other-day": batches_of_another_day,
}
