"""What the bank answers, read as a treasurer reads it: of which payments it speaks, and what follows from it."""

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing.payouts.answers import (
    Acknowledgement,
    Answer,
    BatchAcknowledgement,
    check_acknowledgements,
    of_each_payment,
)
from billing.payouts.execution_day import execution_day_problem, next_target_day
from billing.payouts.file_answers import read_answer
from billing.payouts.payouts import PayoutItem, item_id_of
from ingestion.contract.requests import FileRefusedError
from tests.status_reports import NAMESPACE, batch, payment, report

BATCH = "VL-EUR-20261201-1"
ITEM = PayoutItem(item_id_of(BATCH, "ann"), BATCH, "ann", 1, 12_340_000)
OTHER = PayoutItem(item_id_of(BATCH, "bob"), BATCH, "bob", 1, 5_000_000)


def known(state: str) -> dict[str, tuple[PayoutItem, str, str]]:
    return {item.item_id: (item, "EUR", state) for item in (ITEM, OTHER)}


def sentence(
    outcome: str, amount_micros: int | None = 12_340_000, currency: str = "EUR", item_id: str = ""
) -> Acknowledgement:
    return Acknowledgement(item_id or ITEM.item_id, outcome, amount_micros, currency, "", "line 2")


@pytest.mark.parametrize(
    ("state", "lines", "problem"),
    [
        ("instructed", [sentence("settled")], None),
        ("instructed", [sentence("settled", None, "")], None),
        ("instructed", [sentence("rejected")], None),
        ("settled", [sentence("settled")], None),
        ("settled", [sentence("returned")], None),
        ("returned", [sentence("settled")], None),
        ("instructed", [sentence("settled"), sentence("settled")], None),
        ("instructed", [sentence("returned")], "is instructed and cannot become returned"),
        ("rejected", [sentence("settled")], "is rejected and cannot become settled"),
        ("settled", [sentence("rejected")], "is settled and cannot become rejected"),
        ("instructed", [sentence("settled", 12_350_000)], "the bank says 12.350000 EUR, the ledger 12.340000 EUR"),
        ("instructed", [sentence("settled", currency="USD")], "the bank says 12.340000 USD, the ledger 12.340000 EUR"),
        ("instructed", [sentence("settled", item_id="f" * 32)], "was never instructed from these books"),
        ("instructed", [sentence("settled"), sentence("rejected")], "is also settled in this file"),
        ("instructed", [replace(sentence("settled"), batch_id="B")], f"is of batch {BATCH}, and the bank names 'B'"),
    ],
)  # fmt: skip
def test_what_the_bank_says_must_fit_the_ledger(state: str, lines: list[Acknowledgement], problem: str | None) -> None:
    problems = check_acknowledgements(lines, known(state))
    assert len(problems) == (problem is not None)
    assert all(str(problem) in each for each in problems)


def test_what_is_said_of_a_batch_is_said_of_each_of_its_payments_and_their_own_reasons_stay() -> None:
    answer = Answer(
        (replace(sentence("rejected"), reason="AC04"),), (BatchAcknowledgement(BATCH, "rejected", "FF01", "top"),)
    )
    found, problems = of_each_payment(answer, known("instructed"))
    assert problems == []
    assert {(each.item_id, each.outcome, each.reason) for each in found} == {
        (ITEM.item_id, "rejected", "AC04"),
        (OTHER.item_id, "rejected", "FF01"),
    }


@pytest.mark.parametrize(
    ("of_batch", "problem"),
    [
        (BatchAcknowledgement("VL-X", "rejected", "", "top"), "top: batch 'VL-X' was never made from these books"),
        (BatchAcknowledgement(BATCH, "rejected", "", "top", 3), f"the bank says 3 payments, and batch {BATCH} has 2"),
        (
            BatchAcknowledgement(BATCH, "rejected", "", "top", 2, 17_350_000),
            f"the bank says 17.350000 EUR, and batch {BATCH} is 17.340000 EUR",
        ),
        (BatchAcknowledgement(BATCH, "rejected", "", "top", 2, 17_340_000), None),
    ],
)
def test_what_is_said_of_a_batch_must_fit_the_batch(of_batch: BatchAcknowledgement, problem: str | None) -> None:
    _, problems = of_each_payment(Answer(batches=(of_batch,)), known("instructed"))
    assert len(problems) == (problem is not None)
    assert all(str(problem) in each for each in problems)


def test_one_payment_that_differs_from_its_batch_is_a_contradiction() -> None:
    answer = Answer((sentence("settled"),), (BatchAcknowledgement(BATCH, "rejected", "", "top"),))
    found, _ = of_each_payment(answer, known("instructed"))
    assert check_acknowledgements(found, known("instructed")) == [
        f"top: payment {ITEM.item_id} is also settled in this file"
    ]


def test_an_answer_that_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        FileRefusedError, match=r"pipe: cannot be read \(is a folder, a pipe or a device; give a file\)"
    ):
        read_answer(tmp_path / "pipe")


def read(tmp_path: Path, content: str | bytes) -> Answer:
    file = tmp_path / "answer"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_answer(file)


def refusals(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(FileRefusedError) as caught:
        read(tmp_path, content)
    return str(caught.value)


def test_a_csv_is_read_line_by_line(tmp_path: Path) -> None:
    answer = read(
        tmp_path, "item_id,outcome,amount,currency,reason\nabc,settled,12.34,EUR,\nabd,rejected,1,EUR,AC04 closed\n"
    )
    assert [(each.outcome, each.amount_micros, each.reason) for each in answer.payments] == [
        ("settled", 12_340_000, ""),
        ("rejected", 1_000_000, "AC04 closed"),
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("abc,maybe,12.34,EUR", "line 2, column outcome: 'maybe' is not one of settled, rejected, returned"),
        *(
            (f'abc,settled,"{amount}",EUR', f"line 2, column amount: {amount!r} is not an amount in EUR; write digits")
            for amount in ("a lot", "12,34", "1.000,00", "1_000", "1e2", "١٢", "-1", "+1", "NaN", "0", "0.00", "1.000")
        ),
        *(
            (f"abc,settled,12.34,{currency}", f"column currency: {currency!r} is not a currency of ISO 4217")
            for currency in ("eur", "", "EU", "XXX", "EUR ")
        ),
        ("abc,settled,100.5,JPY", "'100.5' is not an amount in JPY; write digits without decimals, above 0"),
    ],
)
def test_a_csv_of_the_bank_is_read_strictly(tmp_path: Path, row: str, problem: str) -> None:
    assert problem in refusals(tmp_path, f"item_id,outcome,amount,currency\n{row}\n")


PAYMENTS = (
    payment("abc", "ACSC", amount="12.34")
    + payment("abd", "RJCT", code="AC04", more=["account closed", "ask"], amount="5.00")
    + payment("abe", "PDNG")
    + payment("abf", "ACCC")
)


@pytest.mark.parametrize("version", ["001.03", "001.09", "001.10", "001.14", "003.03"])
def test_a_status_report_is_read_in_every_version_with_optional_amounts(tmp_path: Path, version: str) -> None:
    answer = read(tmp_path, report(batch(PAYMENTS), version=version))
    assert [
        (each.item_id, each.outcome, each.amount_micros, each.currency, each.reason) for each in answer.payments
    ] == [
        ("abc", "executed", 12_340_000, "EUR", ""),
        ("abd", "rejected", 5_000_000, "EUR", "AC04 account closed ask"),
        ("abf", "executed", None, "", ""),
    ]
    assert [each.rpartition(", ")[2] for each in answer.on_their_way] == ["payment 3: PDNG"]
    assert answer.batches == ()


@pytest.mark.parametrize("code", ["ACTC", "ACCP", "ACSP", "ACWC", "ACWP", "ACFC", "PDNG", "RCVD", "PART", "PATC"])
def test_a_status_on_the_way_says_nothing_final_at_any_level(tmp_path: Path, code: str) -> None:
    answer = read(tmp_path, report(batch(payment("abc", code), status=code), status=code))
    assert (answer.payments, answer.batches, len(answer.on_their_way)) == ((), (), 3)


@pytest.mark.parametrize(("code", "outcome"), [("RJCT", "rejected"), ("ACSC", "executed"), ("ACCC", "executed")])
def test_a_status_of_the_whole_message_is_of_the_batch_that_it_names(tmp_path: Path, code: str, outcome: str) -> None:
    (found,) = read(tmp_path, report(status=code, code="FF01", more=["broken"], count="2", total="17.34")).batches
    assert (found.batch_id, found.outcome, found.reason) == (BATCH, outcome, "FF01 broken")
    assert (found.payment_count, found.amount_micros) == (2, 17_340_000)


@pytest.mark.parametrize("named", [BATCH, "NOTPROVIDED"])
def test_a_status_of_payment_information_is_of_the_batch_that_it_names(tmp_path: Path, named: str) -> None:
    (found,) = read(tmp_path, report(batch(status="RJCT", batch_id=named, code="DT01"))).batches
    assert (found.batch_id, found.outcome, found.reason) == (BATCH, "rejected", "DT01")


def test_the_reason_is_the_banks_and_not_the_next_code_of_the_payment(tmp_path: Path) -> None:
    other = "<OrgnlTxRef><PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl></PmtTpInf></OrgnlTxRef>"
    proprietary = payment("abd", "RJCT", proprietary="B 17", after=other)
    answer = read(tmp_path, report(batch(payment("abc", "RJCT", code="AC04", after=other) + proprietary)))
    assert [each.reason for each in answer.payments] == ["AC04", "B 17"]


@pytest.mark.parametrize("form", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_report_is_read_in_the_encoding_that_it_declares(tmp_path: Path, form: str) -> None:
    declared = "ISO-8859-1" if form == "latin-1" else form.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<!-- Größe -->' + report(status="RJCT", more=["geschloßen"])
    (found,) = read(tmp_path, text.encode(form)).batches
    assert found.reason == "geschloßen"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("item_id,outcome,amount,currency\n", "there is no line below the header, so the bank says nothing"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "has no document type (<!DOCTYPE …>)"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x/>', "has no document type (<!DOCTYPE …>)"),
        ("<!doctype html><html><body>502</body></html>", "not readable as XML"),
        ("<html><body>Gateway</body></html>", "not an answer of a bank but 'html'"),
        ("<x>", "not readable as XML"),
        ('<?xml version="1.0" encoding="nonsense"?><x/>', "not readable as XML"),
        (f'<Document xmlns="{NAMESPACE}camt.053.001.02"/>', "the document has no Stmt and no Ntfctn"),
        (f'<Document xmlns="{NAMESPACE}pain.001.001.03"/>', "not an answer of a bank but 'pain.001.001.03'"),
        (f'<Document xmlns="{NAMESPACE}pain.002.001.02"/>', "not an answer of a bank but 'pain.002.001.02'"),
        (f'<Document xmlns="{NAMESPACE}pain.002.001.15"/>', "pain.002.001.03 to pain.002.001.14"),
        ("<Document/>", "not an answer of a bank but 'Document'"),
        (f'<Document xmlns="{NAMESPACE}pain.002.001.03"/>', "the document has no CstmrPmtStsRpt"),
        (report(), "the report has no status of anything"),
        (report(batch(payment("abc", ""))), "the report has no status of anything"),
        (report(batch(payment("", "ACSC"))), "payment 1: ACSC, and no OrgnlEndToEndId names the payment"),
        (report(batch(payment("abc", "WHAT"))), "payment 1: 'WHAT' is not a status of ISO 20022 that viewledger knows"),
        (report(status="NEIN"), "the group's status: 'NEIN' is not a status of ISO 20022"),
        (report(status="RJCT", message_id=""), "it names neither OrgnlPmtInfId nor OrgnlMsgId"),
        (report(status="RJCT", answers="pain.008.001.02"), "the report answers a 'pain.008.001.02'"),
        (report(batch(payment("abc", "ACSC", amount=" "))), "payment 1: '' is not an amount like 12.34"),
        (report(batch(payment("abc", "ACSC", amount="12,34"))), "payment 1: '12,34' is not an amount like 12.34"),
        (report(batch(payment("abc", "ACSC")), status="RJCT"), "payment 1: ACSC, and RJCT applies to all of them"),
        (report(batch(payment("abc", "PDNG")), status="RJCT"), "payment 1: PDNG, and RJCT applies to all of them"),
        (report(batch(status="ACSP"), status="RJCT"), "payment information 1: ACSP, and RJCT applies to all of them"),
        (report(batch(payment("abc", "RJCT"), status="ACSC")), "payment 1: RJCT, and ACSC applies to all of them"),
    ],
)  # fmt: skip
def test_what_is_not_an_answer_to_a_payout_is_refused_in_one_sentence(
    tmp_path: Path, content: str, problem: str
) -> None:
    text = refusals(tmp_path, content)
    assert problem in text
    assert text.count("\n") == 0


@pytest.mark.parametrize("reason", ["AM05", "DU01", "DU02", "DU03", "DU04", "DU05"])
def test_a_file_rejected_as_one_that_came_before_does_not_make_its_payments_owed_again(
    tmp_path: Path, reason: str
) -> None:
    for content in (
        report(status="RJCT", code=reason),
        report(batch(status="RJCT", code=reason)),
        report(batch(payment("abc", "RJCT", code=reason))),
    ):
        assert f"rejected because it came before ({reason})" in refusals(tmp_path, content)


@pytest.mark.parametrize(
    ("day", "problem"),
    [
        (date(2026, 11, 28), None),
        (date(2027, 2, 26), None),
        (date(2026, 11, 27), "in the past; the bank can execute from today (2026-11-28, UTC) to 2027-02-26"),
        (date(2020, 1, 1), "is in the past"),
        (date(2027, 2, 27), "2027-02-27 is too far ahead"),
        (date(9999, 12, 31), "is too far ahead"),
    ],
)  # fmt: skip
def test_a_bank_executes_from_today_to_ninety_days_ahead(day: date, problem: str | None) -> None:
    found = execution_day_problem(day, date(2026, 11, 28))
    assert (found is None) == (problem is None)
    assert str(problem or None) in str(found)


@pytest.mark.parametrize(
    ("day", "open_on"),
    [
        ("2026-12-01", "2026-12-01"),
        ("2026-11-28", "2026-11-30"),
        ("2026-12-25", "2026-12-28"),
        ("2027-01-01", "2027-01-04"),
        ("2027-03-26", "2027-03-30"),  # Good Friday, the weekend, Easter Monday
        ("2028-05-01", "2028-05-02"),
    ],
)
def test_the_next_day_of_target_is_named(day: str, open_on: str) -> None:
    assert next_target_day(date.fromisoformat(day)) == date.fromisoformat(open_on)
