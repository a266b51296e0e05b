"""Accounts that import accepts are fit for the bank, and its answers reach exactly the payments they name."""

from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

from schwifty import IBAN

from billing.money import MICROS, decimals_of, minor_unit_micros, written_amount
from billing.payouts.answers import check_acknowledgements, of_each_payment
from billing.payouts.bank_data import BankAccount, account_problems, bank_text, iban_problem, is_in_sepa
from billing.payouts.file_iso20022 import read_document
from billing.payouts.file_payouts import pain_001
from billing.payouts.file_status_reports import read_status_report
from billing.payouts.payouts import SEPA_AMOUNT_MAX_MICROS, PayoutBatch, PayoutItem, item_id_of
from billing.terms.currency import CURRENCIES
from ingestion.contract.requests import FileRefusedError
from tests import status_reports
from tests.examples import given, settings, st

BATCH = "VL-EUR-20261201-1"
DEBTOR = BankAccount("", "Viewledger", "NO9386011117947")
DAY, MADE_AT = date(2026, 12, 1), datetime(2026, 11, 28, tzinfo=UTC)
NAMES = {"x": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"}


def ibans_of(*countries: str) -> st.SearchStrategy[str]:
    return st.builds(
        lambda country, random: str(IBAN.random(country, random=random, use_registry=False)),
        st.sampled_from(countries),
        st.randoms(use_true_random=False),
    )


real_ibans = ibans_of("DE", "FR", "GB", "IT", "ES", "NL", "MT", "NO", "BE", "PL", "SE", "AT", "IE", "LU")
letters = st.sampled_from("AbcÄößŁżéÑ ЖщЯλΣ'&-._()/,?:+“–’")
names = st.one_of(st.text(max_size=75), st.text(letters, max_size=75))
bics = st.one_of(
    st.none(), st.from_regex(r"\A[A-Z0-9]{4}(DE|FR|GB|IT|GG|XX)[A-Z0-9]{2}([A-Z0-9]{3})?\Z"), st.text(max_size=12)
)
accounts = st.builds(BankAccount, st.just("ann"), names, st.one_of(real_ibans, st.text(max_size=34)), bics)
payee_ids = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")


@settings(max_examples=60)  # the schema is read again for every file
@given(accounts, payee_ids, st.integers(1, SEPA_AMOUNT_MAX_MICROS // 10_000))
def test_whatever_passes_the_import_is_a_file_that_the_schema_takes(
    account: BankAccount, payee_id: str, cents: int
) -> None:
    item = PayoutItem(item_id_of(BATCH, payee_id), BATCH, payee_id, 1, cents * 10_000)
    batch = PayoutBatch(BATCH, "EUR", DAY, MADE_AT, (item,), {payee_id: account})
    if account_problems(account):
        try:
            pain_001(batch, DEBTOR)
        except FileRefusedError:
            return
        raise AssertionError("an account with problems was written")
    root = ET.fromstring(pain_001(batch, DEBTOR))  # noqa: S314  our own file
    assert [node.text for node in root.iterfind(".//x:Cdtr/x:Nm", NAMES)] == [bank_text(account.holder_name)]
    assert [node.text for node in root.iterfind(".//x:InstdAmt", NAMES)] == [f"{Decimal(cents) / 100:.2f}"]


@given(names)
def test_a_text_for_banks_has_only_their_characters_and_is_itself_again(text: str) -> None:
    written = bank_text(text)
    if written is not None:
        assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /-?:().,'+")
        assert bank_text(written) == written


@given(ibans_of("DE", "ES", "BE", "PL", "SE", "AT", "NO"), st.data())
def test_an_iban_with_one_digit_changed_or_two_neighbours_swapped_is_none(iban: str, data: st.DataObject) -> None:
    assert iban_problem(iban) is None
    assert is_in_sepa(iban)
    place = data.draw(st.integers(2, len(iban) - 2))
    other = data.draw(st.sampled_from("0123456789"))
    for wrong in (
        iban[:place] + other + iban[place + 1 :],
        iban[:place] + iban[place + 1] + iban[place] + iban[place + 2 :],
        iban[:place] + iban[place + 1 :],
        iban + other,
    ):
        assert wrong == iban or iban_problem(wrong)


@given(st.sampled_from(sorted(CURRENCIES)), st.text(max_size=20))
def test_a_text_is_an_amount_only_as_plain_digits(currency: str, text: str) -> None:
    try:
        amount_micros = written_amount(text, currency)
    except ValueError:
        return
    assert Decimal(text) * MICROS == amount_micros > 0
    assert set(text) <= set("0123456789.")
    assert amount_micros % minor_unit_micros(currency) == 0


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(1, 10**12 - 1))
def test_every_amount_that_banks_pay_can_be_written_and_is_read_as_it_was(currency: str, units: int) -> None:
    text = f"{Decimal(units).scaleb(-decimals_of(currency)):f}"
    assert written_amount(text, currency) == units * minor_unit_micros(currency)


FINAL = {"RJCT": "rejected", "ACSC": "executed", "ACCC": "executed"}
codes = st.sampled_from(["", "RJCT", "ACSC", "ACCC", "ACSP", "PDNG", "PART"])


@given(codes, codes, st.lists(codes, min_size=3, max_size=3))
def test_a_report_is_taken_whole_or_not_at_all_and_what_it_says_holds_for_exactly_what_it_names(
    of_group: str, of_batch: str, of_payments: list[str]
) -> None:
    items = [PayoutItem(item_id_of(BATCH, name), BATCH, name, 1, 5_000_000) for name in ("ann", "bob", "zoe")]
    others = [PayoutItem(item_id_of("VL-EUR-20261201-2", "max"), "VL-EUR-20261201-2", "max", 1, 5_000_000)]
    known = {item.item_id: (item, "EUR", "instructed") for item in (*items, *others)}
    payments = "".join(
        status_reports.payment(item.item_id, code) for item, code in zip(items, of_payments, strict=True) if code
    )
    text = status_reports.report(status_reports.batch(payments, status=of_batch), status=of_group)
    chains = [[code for code in (of_group, of_batch, code) if code] for code in of_payments]
    contradicts = any(
        FINAL.get(upper) and FINAL.get(lower) != FINAL[upper]
        for chain in chains
        for index, upper in enumerate(chain)
        for lower in chain[index + 1 :]
    )
    says_nothing = not any(chains)
    try:
        answer = read_status_report(read_document("answer.xml", text.encode()))
    except FileRefusedError:
        assert contradicts or says_nothing
        return
    assert not contradicts
    assert not says_nothing
    found, problems = of_each_payment(answer, known)
    assert problems + check_acknowledgements(found, known) == []
    wanted = {
        item.item_id: FINAL[chain[-1]]
        for item, chain in zip(items, chains, strict=True)
        if chain and chain[-1] in FINAL
    }
    assert {each.item_id: each.outcome for each in found} == wanted
