"""Payouts read as a treasurer reads them: what is paid, what stays, what the bank says."""

from dataclasses import replace
from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

import pytest

from billing.money import decimal_text
from billing.payouts.bank_data import BankAccount
from billing.payouts.file_payouts import pain_001, payout_csv
from billing.payouts.payouts import (
    Payable,
    PayoutBatch,
    expected_balances,
    payout_transaction,
    plan_items,
)
from ingestion.contract.requests import FileRefusedError

IBANS = ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947"]  # published examples of the standard
ANN = BankAccount("ann", "Ann Älv", IBANS[0], "COBADEFFXXX")
BOB = BankAccount("bob", "Bob & Söhne_[Ελλάς]", IBANS[1])
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
    payable = Payable("ann", micros(balance), micros(held), micros(minimum), ANN if account == "yes" else None, 1)
    items, left = plan_items("B", currency, [payable])
    assert [decimal_text(item.amount_micros, currency) for item in items] == ([paid] if paid else [])
    assert bool(left) == bool(because)
    assert all(because in reason for _, reason in left)


def batch(currency: str = "EUR") -> PayoutBatch:
    payables = [Payable("ann", 12_345_678, 0, 0, ANN, 1), Payable("bob", 5_000_000, 0, 0, BOB, 3)]
    items, _ = plan_items("VL-EUR-20261201-1", currency, payables)
    accounts = {"ann": ANN, "bob": BOB}
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
    assert [node.text for node in root.iterfind(".//x:Cdtr/x:Nm", names)] == ["Ann Alv", "Bob + Sohne-(Ellas)"]


def test_a_sepa_file_in_another_currency_is_refused() -> None:
    with pytest.raises(FileRefusedError, match="is in EUR, and batch VL-EUR-20261201-1 in USD; use csv"):
        pain_001(batch("USD"), ANN)


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (replace(ANN, bic="12345678"), "account (version 7) that no bank accepts: bic: not a BIC; allowed: 4 letters"),
        (replace(ANN, bic="BARCGB22"), "bic: the BIC is of a bank in GB and the IBAN of DE"),
        (replace(ANN, iban="DE893704004405320130000"), "iban: not an IBAN: one of DE has 22 characters"),
        (replace(ANN, holder_name="山田"), "holder_name: the holder's name cannot be written"),
        (replace(ANN, iban="BR1800360305000010009795493C1", bic=None), "account in BR, which SEPA does not reach"),
    ],
)  # fmt: skip
def test_an_account_of_old_that_no_bank_takes_keeps_its_payee_out_and_nobody_else(
    account: BankAccount, reason: str
) -> None:
    payables = [Payable("ann", 9_000_000, 0, 0, account, 7), Payable("bob", 5_000_000, 0, 0, BOB, 3)]
    items, left = plan_items("B", "EUR", payables, by_sepa=True)
    assert [item.payee_id for item in items] == ["bob"]
    assert [payee_id for payee_id, _ in left] == ["ann"]
    assert reason in left[0][1]
    assert account.iban[4:] not in left[0][1]


def test_what_no_sepa_transfer_carries_is_left_and_said() -> None:
    payables = [Payable("ann", 10**15, 0, 0, ANN, 1), Payable("bob", 10**15 - 10_000, 0, 0, BOB, 1)]
    items, left = plan_items("B", "EUR", payables, by_sepa=True)
    assert [item.payee_id for item in items] == ["bob"]
    assert "more than one SEPA transfer carries (999,999,999.990000 EUR)" in left[0][1]


def test_a_batch_from_before_accounts_were_judged_names_the_payee_instead_of_breaking_off() -> None:
    broken = replace(batch(), accounts={"ann": replace(ANN, bic="12345678"), "bob": BOB})
    with pytest.raises(FileRefusedError) as caught:
        pain_001(broken, ANN)
    (problem,) = caught.value.problems
    assert problem.startswith("batch VL-EUR-20261201-1, payee ann, column bic of its bank account: not a BIC")
    assert "void the batch" in problem


def test_a_file_that_the_schema_refuses_is_refused_without_repeating_it() -> None:
    with pytest.raises(FileRefusedError, match=r"the file is not as pain\.001\.001\.03 wants it") as caught:
        pain_001(batch(), replace(ANN, bic="12345678"))
    assert IBANS[0] not in str(caught.value)
    assert caught.value.__cause__ is None


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
