"""Account statements are read whole or not at all, and every movement in them becomes rows with a purpose."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from billing.payouts.account_entries import AccountReport, BankEntry, EntryPart, bank_transaction
from billing.payouts.file_answers import read_answer
from billing.payouts.judged_entries import JudgedReport, judge
from billing.payouts.payouts import PayoutItem, item_id_of
from ingestion.contract.requests import FileRefusedError
from tests.account_reports import IBAN, balances, detail, entry, report, statement

BATCH = "VL-EUR-20261201-1"
ANN = PayoutItem(item_id_of(BATCH, "ann"), BATCH, "ann", 1, 5_000_000)
BOB = PayoutItem(item_id_of(BATCH, "bob"), BATCH, "bob", 1, 7_250_000)


def read(tmp_path: Path, text: str | bytes) -> AccountReport:
    file = tmp_path / "statement.xml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    answer = read_answer(file)
    assert isinstance(answer, AccountReport)
    return answer


def judged(
    tmp_path: Path, *entries: str, booked: Sequence[BankEntry] = (), ann: str = "instructed", bob: str = "instructed"
) -> JudgedReport:
    known = {ANN.item_id: (ANN, "EUR", ann), BOB.item_id: (BOB, "EUR", bob)}
    return judge(IBAN, read(tmp_path, report(statement(entries))).entries, known, booked)


def rows(found: JudgedReport) -> list[tuple[str, str | None, int, int]]:
    payees = {ANN.item_id: "ann", BOB.item_id: "bob", None: None}
    return [(each.purpose, payees[each.item_id], each.amount_micros, each.charges_micros) for each in found.new]


@pytest.mark.parametrize("kind", ["camt.053.001.02", "camt.053.001.08", "camt.053.001.13", "camt.054.001.02"])
@pytest.mark.parametrize("status", ["<Sts>BOOK</Sts>", "<Sts><Cd>BOOK</Cd></Sts>"])
def test_a_movement_is_read_in_every_version(tmp_path: Path, kind: str, status: str) -> None:
    of = balances("100.00", "95.00") if kind.startswith("camt.053") else ""
    debit = entry("-5.00", detail("abc"), status=status)
    pending = entry("-1.00", detail("abd"), reference="R2", status=status.replace("BOOK", "PDNG"))
    found = read(tmp_path, report(statement([debit, pending], of=of), kind=kind))
    (only,) = found.entries
    assert (found.iban, found.pending_count, only.reference, only.booked_on) == (IBAN, 1, "R1", date(2026, 12, 1))
    assert (only.currency, only.parts) == ("EUR", (EntryPart("abc", -5_000_000),))


def test_the_amount_of_a_part_is_found_where_older_versions_have_it(tmp_path: Path) -> None:
    amount = '<AmtDtls><TxAmt><Amt Ccy="EUR">2</Amt></TxAmt></AmtDtls>'
    old = f"<TxDtls><Refs><EndToEndId>x</EndToEndId></Refs>{amount}</TxDtls>"
    (only,) = read(tmp_path, report(statement(entry("-5.00", old + detail("y", "-3.00"))))).entries
    assert [(each.item_id, each.amount_micros) for each in only.parts] == [("x", -2_000_000), ("y", -3_000_000)]


def test_parts_with_references_of_their_own_are_movements_where_the_whole_has_none(tmp_path: Path) -> None:
    parts = detail("x", "-2.00", reference="A") + detail("y", "-3.00", reference="B")
    found = read(tmp_path, report(statement(entry("-5.00", parts, reference="NONREF"))))
    assert [(each.reference, each.amount_micros) for each in found.entries] == [("A", -2_000_000), ("B", -3_000_000)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (report(), "the document has no Stmt and no Ntfctn"),
        (report(statement(iban="")), "of 1 accounts; give a file of one account, named by its IBAN"),
        (report(statement(), statement(iban="DE89370400440532013000")), "of 2 accounts; give a file of one account"),
        (report(statement(identity=" ")), "a statement has no Id"),
        (report(kind="camt.053.001.01"), "not an account statement but 'camt.053.001.01'"),
        (report(kind="camt.054.001.14"), "(camt.054.001.02 to camt.054.001.13)"),
        (report(statement(entry("-5", status=""))), "entry 1: '' is not a status of a movement"),
        (report(statement(entry("-5", status="<Sts>MAYBE</Sts>"))), "'MAYBE' is not a status of a movement"),
        (report(statement(entry("0"))), "this one has 0, 'EUR', 1, '2026-12-01'"),
        (report(statement(entry("1e3"))), "'1e3' is not an amount like 12.34"),
        (report(statement(entry("5,00"))), "'5,00' is not an amount like 12.34"),
        (report(statement(entry("5", currency="EURO"))), "this one has 5000000, 'EURO', 1"),
        (report(statement(entry("5", day=""))), "1, ''"),
        (report(statement(entry("5", day="1999-12-31"))), "a BookgDt of 2000 or later"),
        (report(statement(entry("5", day="2026-W49-2"))), "a BookgDt of 2000 or later"),
        (report(statement(entry("5", day="20261201"))), "a BookgDt of 2000 or later"),
        (report(statement(entry("5", day="tomorrow"))), "'tomorrow'"),
        (report(statement(entry("5", reference=""))), "no AcctSvcrRef names the movement"),
        (report(statement(entry("5", detail("a", "2.00") + detail("b", "2.00")))), "2 parts do not add up to 5.000000"),
        (report(statement(entry("5", detail("a", "2") + detail("b", "3", currency="USD")))), "has no Amt in EUR"),
        (report(statement(entry("5", detail("a") + detail("b", "3")))), "a part of it has no Amt in EUR"),
        (report(statement(entry("-5"), of=balances("100.00", "96.00"))), "do not give 96.000000 EUR; the file is not"),
        (report(statement(of=balances("0.00", "-1.00"))), "do not give -1.000000 EUR"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + report(statement(entry("5"))), "has no document type"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_whole_statement_of_one_account_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(FileRefusedError) as caught:
        read(tmp_path, text)
    assert problem in caught.value.problems[0]
    assert len(caught.value.problems) == 1


def test_the_debit_of_a_payment_settles_it_and_its_return_with_a_fee_returns_it(tmp_path: Path) -> None:
    debit = entry("-5.00", detail(ANN.item_id))
    back = entry("4.60", detail(ANN.item_id, "4.60", charges="0.40", reason="AC04"), reference="R2")
    for entries in ((debit, back), (back, debit)):
        found = judged(tmp_path, *entries)
        assert rows(found) == [("settles", "ann", -5_000_000, 0), ("returns", "ann", 4_600_000, 400_000)]
        assert (found.problems, found.differences) == ([], [])
        assert found.new[1].reason == "AC04"
        assert bank_transaction(found.new[0]) is None
        fee = bank_transaction(found.new[1])
        assert fee is not None
        assert [(each.account, each.amount_micros) for each in fee.entries] == [
            ("expense:bank-fees", 400_000),
            ("bank", -400_000),
        ]


def test_charges_that_are_booked_on_their_own_are_not_taken_from_the_amount(tmp_path: Path) -> None:
    debit = entry("-5.00", detail(ANN.item_id, charges="0.40"))
    fee = entry("-0.40", reference="R2", code="CHRG")
    assert rows(judged(tmp_path, debit, fee)) == [("settles", "ann", -5_000_000, 0), ("fee", None, -400_000, 0)]


@pytest.mark.parametrize("details", ["", detail("NOTPROVIDED")])
def test_a_movement_of_a_whole_batch_settles_each_payment_that_was_not_rejected(tmp_path: Path, details: str) -> None:
    whole = entry("-12.25", details, batch_id=BATCH)
    found = judged(tmp_path, whole)
    assert sorted(rows(found)) == [("settles", "ann", -5_000_000, 0), ("settles", "bob", -7_250_000, 0)]
    assert rows(judged(tmp_path, entry("-7.25", details, batch_id=BATCH), ann="rejected")) == [
        ("settles", "bob", -7_250_000, 0)
    ]
    wrong = judged(tmp_path, entry("-12.24", details, batch_id=BATCH))
    assert rows(wrong) == [("unknown", None, -12_240_000, 0)]
    assert wrong.new[0].reason == f"not the sum of batch '{BATCH}'"
    again = judged(
        tmp_path, entry("-12.25", detail(ANN.item_id, "-5") + detail(BOB.item_id, "-7.25")), booked=found.new
    )
    assert (again.new, again.repeated_count) == ([], 1)


def test_a_movement_of_a_whole_batch_comes_back_in_the_file_that_debits_it_or_after_it(tmp_path: Path) -> None:
    debit, back = entry("-12.25", batch_id=BATCH), entry("12.25", batch_id=BATCH, reference="R2")
    debits = [("settles", "ann", -5_000_000, 0), ("settles", "bob", -7_250_000, 0)]
    returns = [("returns", "ann", 5_000_000, 0), ("returns", "bob", 7_250_000, 0)]
    for entries in ((debit, back), (back, debit)):
        found = judged(tmp_path, *entries)
        assert (sorted(rows(found)), found.problems) == (sorted(debits + returns), [])
    booked = judged(tmp_path, debit).new
    later = judged(tmp_path, back, booked=booked, ann="settled", bob="settled")
    assert sorted(rows(later)) == returns
    again = judged(tmp_path, back, booked=[*booked, *later.new], ann="returned", bob="returned")
    assert (again.new, again.repeated_count) == ([], 1)
    some = judged(tmp_path, entry("5.00", batch_id=BATCH), ann="settled")
    assert rows(some) == [("returns", "ann", 5_000_000, 0)]


def test_a_batch_that_comes_back_before_its_debit_is_not_kept_and_says_what_to_import(tmp_path: Path) -> None:
    found = judged(tmp_path, entry("12.25", batch_id=BATCH))
    assert all("comes back, and no statement shows yet that it left; import the one" in each for each in found.problems)
    assert {each.partition("payment ")[2].split()[0] for each in found.problems} == {ANN.item_id, BOB.item_id}


def test_a_total_in_suspense_leaves_it_when_its_payments_are_named(tmp_path: Path) -> None:
    total = judged(tmp_path, entry("-12.25"))
    assert rows(total) == [("unknown", None, -12_250_000, 0)]
    details = entry("-12.25", detail(ANN.item_id, "-5.00") + detail(BOB.item_id, "-7.25"))
    named = judged(tmp_path, details, booked=total.new)
    assert rows(named) == [
        ("named", None, 12_250_000, 0),
        ("settles", "ann", -5_000_000, 0),
        ("settles", "bob", -7_250_000, 0),
    ]
    for again in (details, entry("-12.25")):
        repeated = judged(tmp_path, again, booked=[*total.new, *named.new], ann="settled", bob="settled")
        assert (repeated.new, repeated.repeated_count, repeated.problems) == ([], 1, [])


@pytest.mark.parametrize(
    ("movement", "state", "difference"),
    [
        (entry("-4.99", detail(ANN.item_id)), "instructed", "is of another amount or currency"),
        (entry("-5.01", detail(ANN.item_id)), "instructed", "is of another amount or currency"),
        (entry("-5.00", detail(ANN.item_id), currency="USD"), "instructed", "is of another amount or currency"),
        (entry("-5.00", detail(ANN.item_id)), "rejected", "is rejected"),
        (entry("-5.00", detail(ANN.item_id)), "voided", "is voided"),
        (entry("-5.00", detail(ANN.item_id)), "unsent", "is unsent"),
        (entry("4.99", detail(ANN.item_id)), "settled", "is of another amount or currency"),
        (entry("5.00", detail(ANN.item_id)), "rejected", "is rejected"),
    ],
)
def test_a_movement_that_does_not_fit_its_payment_waits_in_suspense_and_is_named(
    tmp_path: Path, movement: str, state: str, difference: str
) -> None:
    found = judged(tmp_path, movement, ann=state)
    ((purpose, payee, _, _),) = rows(found)
    assert (purpose, payee, found.problems) == ("unknown", "ann", [])
    (sentence,) = found.differences
    assert f"payment {ANN.item_id} of payee ann over 5.000000 EUR {difference}, and the bank booked" in sentence


def test_a_payment_that_is_debited_or_returned_twice_is_settled_or_returned_once(tmp_path: Path) -> None:
    debits = [entry("-5.00", detail(ANN.item_id), reference=each) for each in ("R1", "R2")]
    twice = judged(tmp_path, *debits)
    assert [each.purpose for each in twice.new] == ["settles", "unknown"]
    assert "was debited before" in twice.differences[0]
    returns = [entry("5.00", detail(ANN.item_id), reference=each) for each in ("R3", "R4")]
    twice = judged(tmp_path, debits[0], *returns)
    assert [each.purpose for each in twice.new] == ["settles", "returns", "unknown"]
    assert "was returned before" in twice.differences[0]


@pytest.mark.parametrize("is_one_file", [True, False])
def test_a_second_debit_that_the_bank_takes_back_leaves_the_payment_settled(tmp_path: Path, is_one_file: bool) -> None:
    debits = [entry("-5.00", detail(ANN.item_id), reference=each) for each in ("R1", "R2")]
    back, returned = (entry("5.00", detail(ANN.item_id, reason="DUPL"), reference=each) for each in ("R3", "R4"))
    before = judged(tmp_path, *debits).new
    found = judged(tmp_path, *debits, back) if is_one_file else judged(tmp_path, back, booked=before, ann="settled")
    row = found.new[-1]
    assert (row.purpose, row.item_id, row.amount_micros) == ("unknown", ANN.item_id, 5_000_000)
    assert row.reason == "a debit in suspense comes back; DUPL"
    assert (found.problems, len(found.differences)) == ([], 1 if is_one_file else 0)
    later = judged(tmp_path, returned, booked=[*before, row], ann="settled")
    assert rows(later) == [("returns", "ann", 5_000_000, 0)]


def test_a_second_debit_that_comes_back_less_charges_is_named_and_not_a_return(tmp_path: Path) -> None:
    debits = [entry("-5.00", detail(ANN.item_id), reference=each) for each in ("R1", "R2")]
    before = judged(tmp_path, *debits).new
    back = entry("4.60", detail(ANN.item_id, "4.60", charges="0.40"), reference="R3")
    found = judged(tmp_path, back, booked=before, ann="settled")
    assert rows(found) == [("unknown", "ann", 4_600_000, 0)]
    assert "was debited twice and comes back less charges" in found.differences[0]
    returned = entry("5.00", detail(ANN.item_id), reference="R4")
    later = judged(tmp_path, returned, booked=[*before, *found.new], ann="settled")
    assert rows(later) == [("returns", "ann", 5_000_000, 0)]


def test_a_return_before_its_debit_is_not_kept_and_says_what_to_import(tmp_path: Path) -> None:
    found = judged(tmp_path, entry("5.00", detail(ANN.item_id)))
    assert (
        f"payment {ANN.item_id} comes back, and no statement shows yet that it left; import the one"
        in found.problems[0]
    )


def test_a_credit_that_names_no_payment_of_the_books_is_unknown_and_no_difference(tmp_path: Path) -> None:
    found = judged(tmp_path, entry("1000.00"), entry("3.00", detail("a-donation"), reference="R2"))
    assert [(each.purpose, each.reason) for each in found.new] == [
        ("unknown", ""),
        ("unknown", "payment 'a-donation' is not of these books"),
    ]
    assert found.differences == []


@pytest.mark.parametrize("details", ["", detail(ANN.item_id)])
def test_one_reference_on_two_days_is_asked_about_and_never_counted_as_a_repetition(
    tmp_path: Path, details: str
) -> None:
    before = judged(tmp_path, entry("-5.00", details)).new
    found = judged(tmp_path, entry("-5.00", details, day="2026-12-08"), booked=before, ann="settled")
    assert (found.new, found.repeated_count) == ([], 0)
    assert "the bank booked 'R1' before on 2026-12-01, and now on 2026-12-08; ask the bank which" in found.problems[0]


def test_another_account_may_use_the_same_reference(tmp_path: Path) -> None:
    movements = read(tmp_path, report(statement(entry("-12.25")))).entries
    before = judge("DE89370400440532013000", movements, {}, ()).new
    assert [each.account for each in before] == ["DE…3000"]
    found = judged(tmp_path, entry("-12.25"), booked=before)
    assert (found.repeated_count, [(each.account, each.purpose) for each in found.new]) == (0, [("NO…7947", "unknown")])


def test_one_reference_for_two_different_movements_is_asked_about(tmp_path: Path) -> None:
    before = judged(tmp_path, entry("-5.00", detail(ANN.item_id))).new
    found = judged(tmp_path, entry("-7.25", detail(BOB.item_id)), booked=before)
    assert found.new == []
    assert "the bank booked 'R1' before as -5.000000 EUR in 1 parts, and now as -7.250000 EUR in 1" in found.problems[0]
