"""Payouts read as a treasurer reads them: what is paid, what stays, what the bank says."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from billing.errors import FileRefusedError
from billing.payouts.file_bank_accounts import read_bank_accounts
from billing.payouts.file_payouts import decimal_text, pain_001, payout_csv, read_acknowledgements
from billing.payouts.payouts import (
    Acknowledgement,
    BankAccount,
    Payable,
    PayoutBatch,
    check_acknowledgements,
    expected_balances,
    is_iban,
    item_id_of,
    payout_transaction,
    plan_items,
)

IBANS = ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947"]  # published examples of the standard
ANN = BankAccount("ann", "Ann Älv", IBANS[0], "COBADEFFXXX")
DAY = date(2026, 12, 1)
EXECUTION = datetime(2026, 12, 1, tzinfo=UTC)

# Balance, hold and minimum in units of the currency; what is paid now and, in words, why the rest is not.
PAYABLES = """
balance    | held | minimum | currency | account | paid   | left because
  12.345678|  0   |   0     | EUR      | yes     | 12.34  |
  12.345678|  0   |  12.34  | EUR      | yes     | 12.34  |
  12.345678|  0   |  12.35  | EUR      | yes     |        | 12.345678 EUR is below the minimum of 12.350000 EUR
   0.009999|  0   |   0     | EUR      | yes     |        | 0.009999 EUR is below the minimum of 0.010000 EUR
  -3       |  0   |   0     | EUR      | yes     |        | -3.000000 EUR is carried forward
  12       |  5   |   0     | EUR      | yes     | 7.00   |
  12       | 12   |   0     | EUR      | yes     |        | 12.000000 EUR is on hold
  12       | 99   |   0     | EUR      | yes     |        | 99.000000 EUR is on hold
  12       |  5   |  10     | EUR      | yes     |        | 7.000000 EUR is below the minimum of 10.000000 EUR
  12       |  0   |   0     | EUR      | no      |        | has no bank account
 123.9     |  0   |   0     | JPY      | yes     | 123    |
   1.2345  |  0   |   0     | KWD      | yes     | 1.234  |
"""
PAYABLE_ROWS = [[cell.strip() for cell in row.split("|")] for row in PAYABLES.strip().splitlines()[1:]]


def micros(text: str) -> int:
    whole, _, rest = text.strip().partition(".")
    sign = -1 if whole.startswith("-") else 1
    return int(whole) * 10**6 + sign * int(rest.ljust(6, "0") or 0)


@pytest.mark.parametrize("row", PAYABLE_ROWS, ids=[" ".join(row) for row in PAYABLE_ROWS])
def test_of_a_balance_this_is_paid_and_the_rest_stays_owed(row: list[str]) -> None:
    balance, held, minimum, currency, account, paid, because = row
    payable = Payable("ann", micros(balance), micros(held), micros(minimum), 1 if account == "yes" else None)
    items, left = plan_items("B", currency, [payable])
    assert [decimal_text(item.amount_micros, currency) for item in items] == ([paid] if paid else [])
    assert bool(left) == bool(because)
    assert all(because in reason for _, reason in left)


def batch(currency: str = "EUR") -> PayoutBatch:
    payables = [Payable("ann", 12_345_678, 0, 0, 1), Payable("bob", 5_000_000, 0, 0, 3)]
    items, _ = plan_items("VL-EUR-20261201-1", currency, payables)
    accounts = {"ann": ANN, "bob": BankAccount("bob", "Bob", IBANS[1])}
    return PayoutBatch(
        "VL-EUR-20261201-1", currency, DAY, datetime(2026, 11, 25, 9, tzinfo=UTC), tuple(items), accounts
    )


def test_the_file_for_the_bank_has_every_payment_and_their_sum_and_is_the_same_every_time() -> None:
    first = pain_001(batch(), replace(ANN, payee_id="", iban=IBANS[2]))
    assert pain_001(batch(), replace(ANN, payee_id="", iban=IBANS[2])) == first
    names = {"x": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"}
    root = ET.fromstring(first)  # noqa: S314  our own file
    assert [node.text for node in root.iterfind(".//x:InstdAmt", names)] == ["12.34", "5.00"]
    assert [node.text for node in root.iterfind(".//x:EndToEndId", names)] == [item.item_id for item in batch().items]
    assert [node.text for node in root.iterfind(".//x:GrpHdr/x:CtrlSum", names)] == ["17.34"]
    assert [node.text for node in root.iterfind(".//x:MsgId", names)] == ["VL-EUR-20261201-1"]
    assert [node.text for node in root.iterfind(".//x:CdtrAcct//x:IBAN", names)] == IBANS[:2]


def test_a_sepa_file_in_another_currency_is_refused() -> None:
    with pytest.raises(FileRefusedError, match="is in EUR, and batch VL-EUR-20261201-1 in USD; use csv"):
        pain_001(batch("USD"), ANN)


def test_the_csv_file_has_one_payment_a_line() -> None:
    rows = payout_csv(batch("USD")).decode().splitlines()
    assert rows[1].endswith(f",ann,Ann Älv,{IBANS[0]},COBADEFFXXX,12.34,USD,2026-12-01,VL-EUR-20261201-1")
    assert len(rows) == 3


# The ledger of one payment of 7 micros, step by step: debit positive, credit negative.
STEPS = """
kind            | payable:ann | clearing:payouts | bank
payout          |  7          | -7               |
payout_settled  |             |  7               | -7
payout_rejected | -7          |  7               |
payout_voided   | -7          |  7               |
payout_returned | -7          |                  |  7
"""


@pytest.mark.parametrize(
    "row", [row.split("|") for row in STEPS.strip().splitlines()[1:]], ids=lambda row: row[0].strip()
)
def test_every_step_of_a_payment_is_a_transaction(row: list[str]) -> None:
    kind, *amounts = (cell.strip() for cell in row)
    transaction = payout_transaction(kind, replace(batch().items[0], amount_micros=7), "EUR", EXECUTION)
    entries = {entry.account: entry.amount_micros for entry in transaction.entries}
    accounts = ("payable:ann", "clearing:payouts", "bank")
    assert entries == {account: int(amount) for account, amount in zip(accounts, amounts, strict=True) if amount}
    assert (transaction.reverses is not None) == (kind in ("payout_rejected", "payout_voided", "payout_returned"))


@pytest.mark.parametrize(
    ("state", "payable", "clearing", "bank"),
    [
        ("instructed", 7, -7, 0),
        ("settled", 7, 0, -7),
        ("rejected", 0, 0, 0),
        ("voided", 0, 0, 0),
        ("returned", 0, 0, 0),
    ],
)
def test_a_payment_in_a_state_stands_so_in_the_ledger(state: str, payable: int, clearing: int, bank: int) -> None:
    assert expected_balances(state, 7) == {"payable": payable, "clearing:payouts": clearing, "bank": bank}


def said(outcome: str, amount_micros: int = 12_340_000, currency: str = "EUR", item_id: str = "") -> Acknowledgement:
    item_id = item_id or item_id_of("VL-EUR-20261201-1", "ann")
    return Acknowledgement(item_id, outcome, amount_micros, currency, "", "line 2")


@pytest.mark.parametrize(
    ("state", "lines", "problem"),
    [
        ("instructed", [said("settled")], None),
        ("instructed", [said("rejected")], None),
        ("settled", [said("settled")], None),
        ("settled", [said("returned")], None),
        ("returned", [said("settled")], None),
        ("instructed", [said("returned")], "is instructed and cannot become returned"),
        ("rejected", [said("settled")], "is rejected and cannot become settled"),
        ("settled", [said("rejected")], "is settled and cannot become rejected"),
        ("instructed", [said("settled", 12_350_000)], "the bank says 12.350000 EUR, the ledger 12.340000 EUR"),
        ("instructed", [said("settled", currency="USD")], "the bank says 12.340000 USD, the ledger 12.340000 EUR"),
        ("instructed", [said("settled", item_id="f" * 32)], "was never instructed from these books"),
        ("instructed", [said("settled"), said("rejected")], "is also settled in this file"),
    ],
)  # fmt: skip
def test_what_the_bank_says_must_fit_the_ledger(state: str, lines: list[Acknowledgement], problem: str | None) -> None:
    item = batch().items[0]
    problems = check_acknowledgements(lines, {item.item_id: (item, "EUR", state)})
    assert len(problems) == (problem is not None)
    assert all(str(problem) in each for each in problems)


def test_acknowledgements_are_read_from_csv(tmp_path: Path) -> None:
    file = tmp_path / "ack.csv"
    file.write_text("item_id,outcome,amount,currency,reason\nabc,settled,12.34,EUR,\nabd,rejected,1,EUR,AC04 closed\n")
    read = read_acknowledgements(file)
    assert [(each.outcome, each.amount_micros, each.reason) for each in read] == [
        ("settled", 12_340_000, ""),
        ("rejected", 1_000_000, "AC04 closed"),
    ]
    file.write_text("item_id,outcome,amount,currency\nabc,maybe,12.34,EUR\nabd,settled,a lot,EUR\n")
    with pytest.raises(FileRefusedError) as caught:
        read_acknowledgements(file)
    assert "line 2, column outcome: 'maybe' is not one of settled, rejected, returned" in caught.value.problems[0]
    assert "line 3, column amount: 'a lot' is not an amount like 12.34" in caught.value.problems[1]


PAIN_002 = """<?xml version="1.0"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt><OrgnlPmtInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>abc</OrgnlEndToEndId><TxSts>ACSC</TxSts>
  <OrgnlTxRef><Amt><InstdAmt Ccy="EUR">12.34</InstdAmt></Amt></OrgnlTxRef></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>abd</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>
  <OrgnlTxRef><Amt><InstdAmt Ccy="EUR">5.00</InstdAmt></Amt></OrgnlTxRef></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>abe</OrgnlEndToEndId><TxSts>PDNG</TxSts></TxInfAndSts>
</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>
"""


def test_acknowledgements_are_read_from_a_payment_status_report(tmp_path: Path) -> None:
    file = tmp_path / "status.xml"
    file.write_text(PAIN_002)
    read = [
        (each.item_id, each.outcome, each.amount_micros, each.currency, each.reason)
        for each in read_acknowledgements(file)
    ]
    assert read == [("abc", "settled", 12_340_000, "EUR", ""), ("abd", "rejected", 5_000_000, "EUR", "AC04")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "has no document type"),
        ("<x>", "not readable as XML"),
        (PAIN_002.replace("OrgnlEndToEndId>abc</OrgnlEndToEndId", "Other>abc</Other"), "payment 1: OrgnlEndToEndId or"),
    ],
)
def test_a_broken_status_report_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "status.xml").write_text(text)
    with pytest.raises(FileRefusedError, match=problem):
        read_acknowledgements(tmp_path / "status.xml")


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_is_checked_by_its_digits(iban: str) -> None:
    assert is_iban(iban)
    other = str((int(iban[-1]) + 1) % 10)
    assert not is_iban(iban[:-1] + other)
    assert not is_iban(iban.lower())


def test_bank_accounts_are_read_and_never_repeated_in_a_message(tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text(
        f"payee_id,holder_name,iban,bic\nann,Ann,DE89 3704 0044 0532 0130 00,cobadeff\nbob,Bob,{IBANS[1]},\n"
    )
    accounts = read_bank_accounts(file)
    assert [(each.iban, each.bic) for each in accounts] == [(IBANS[0], "COBADEFF"), (IBANS[1], None)]
    assert repr(accounts[0]) == "BankAccount(ann, DE…3000)"
    file.write_text("payee_id,holder_name,iban,bic\nann,Ann,DE88370400440532013000,COBA\nann,,GB82,\n")
    with pytest.raises(FileRefusedError) as caught:
        read_bank_accounts(file)
    text = str(caught.value)
    assert [part in text for part in ("line 2, column iban", "line 2, column bic", "line 3, column holder_name")] == [
        True
    ] * 3
    assert "payee ann stands twice" in text
    assert "0532013000" not in text
