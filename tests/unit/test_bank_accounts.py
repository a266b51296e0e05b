"""Bank accounts, validated at import as a bank does, and the messages."""

from pathlib import Path

import pytest

from billing.payouts.bank_data import (
    BANK_CHARACTERS,
    BankAccount,
    account_problems,
    bank_text,
    bic_problem,
    iban_problem,
    name_problem,
)
from billing.payouts.file_bank_accounts import read_bank_accounts
from ingestion.contract.requests import FileRefusedError

IBANS = ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947"]  # published examples of the standard
IBAN = IBANS[0]


@pytest.mark.parametrize("iban", [*IBANS, "FR1420041010050500013M02606", "MT84MALT011000012345MTLCAST001S"])
def test_an_iban_of_the_standard_is_taken_and_one_with_a_mistyped_digit_is_not(iban: str) -> None:
    assert iban_problem(iban) is None
    other = "A" if iban[-1] == "B" else "B" if not iban[-1].isdigit() else str((int(iban[-1]) + 1) % 10)
    assert iban_problem(iban[:-1] + other)


@pytest.mark.parametrize(
    ("iban", "problem"),
    [
        ("", "a country, 2 check digits"),
        ("DE88370400440532013000", "its check digits are wrong"),
        ("DE8937040044053201300", "one of DE has 22 characters, and this one 21"),
        ("XX89370400440532013000", "not an IBAN of XX: invalid country code"),
        ("de89370400440532013000", "a country, 2 check digits"),
        ("DE8937040044053201300٠", "a country, 2 check digits"),
        ("DE8937040044053201300A", "not an IBAN of DE: invalid structure"),
        ("DE89-37040044053201300", "a country, 2 check digits"),
        ("DE89370400440532013000\n", "a country, 2 check digits"),
    ],
)
def test_what_is_not_an_iban_is_refused_with_the_reason(iban: str, problem: str) -> None:
    assert problem in str(iban_problem(iban))


def test_check_digits_are_from_02_to_98_although_others_have_the_same_remainder() -> None:
    found = []
    for account in range(2000):
        bban = f"37040044{account:010d}"
        check = 98 - int(f"{bban}131400") % 97
        twin = check + 97 if check <= 2 else check - 97
        if 0 <= twin <= 99:
            assert int(f"{bban}1314{twin:02d}") % 97 == 1
            found.append(twin)
            assert iban_problem(f"DE{check:02d}{bban}") is None
            assert iban_problem(f"DE{twin:02d}{bban}")
    assert set(found) == {0, 1, 99}


@pytest.mark.parametrize(
    ("bic", "iban", "problem"),
    [
        ("COBADEFFXXX", IBAN, None),
        ("COBADEFF", IBAN, None),
        ("12345678", IBAN, "not a BIC; allowed: 4 letters of the bank, 2 of its country"),
        ("COB1DEFF", IBAN, "not a BIC"),
        ("COBADEFFX", IBAN, "not a BIC"),
        ("COBADEF0", IBAN, None),
        ("COBADE0F", IBAN, "not a BIC"),
        ("COBADEFO", IBAN, "not a BIC"),
        ("COBAXXFF", IBAN, "not a BIC: invalid country code"),
        ("cobadeff", IBAN, "not a BIC"),
        ("COBADEFF\n", IBAN, "not a BIC"),
        ("BARCGB22", IBAN, "the BIC is of a bank in GB and the IBAN of DE"),
        ("BARCGGS1", IBANS[1], None),
        ("SOGEREPP", "FR1420041010050500013M02606", None),
        ("SOGEFRPP", IBANS[1], "the BIC is of a bank in FR and the IBAN of GB"),
    ],
)
def test_a_bic_is_one_that_the_file_can_carry_of_a_bank_in_the_country_of_the_iban(
    bic: str, iban: str, problem: str | None
) -> None:
    found = bic_problem(bic, iban)
    assert (found is None) == (problem is None)
    assert str(problem or None) in str(found)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ann Älv", "Ann Alv"),
        ("Łukasz Żółć-Nguyễn", "Lukasz Zolc-Nguyen"),
        ("Großmann & Söhne", "Grossmann + Sohne"),
        ("Иван Петров", "Ivan Petrov"),
        ("Παπαδόπουλος", "Papadopoulos"),
        ("O’Neil – “Sons”", "O'Neil - .Sons."),
        ("A\u00a0 B", "A B"),
        ("Ａｎｎ", "Ann"),
        ("ﬁ", "fi"),
        ("a_b[c]{d};e@f", "a-b(c)(d),e.f"),
        ("Ana\u0308", "Ana"),
    ],
)
def test_a_name_is_written_in_the_characters_of_banks(name: str, written: str) -> None:
    assert bank_text(name) == written
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must be 1 to 70 printable characters"),
        (" ", "must be 1 to 70 printable characters"),
        ("A\nB", "must be 1 to 70 printable characters"),
        ("A" * 71, "must be 1 to 70 printable characters"),
        ("ß" * 36, "is longer than 70 characters as banks write it"),
        ("山田 太郎", "write it in Latin letters, as the bank has it"),
        ("علی رضایی", "write it in Latin letters, as the bank has it"),
        ("राम", "write it in Latin letters, as the bank has it"),
        ("Ann ١٢", "write it in Latin letters, as the bank has it"),
        ("Ann 😀", f"allowed: {BANK_CHARACTERS}"),
        ("=cmd|A1", "must begin with a letter or digit"),
        ("/Ann", "must begin with a letter or digit"),
        ("Ann//Bob", "have no // in it"),
        ("...", "must begin with a letter or digit"),
    ],
)
def test_a_name_that_no_bank_takes_is_refused_with_what_is_allowed(name: str, problem: str) -> None:
    assert problem in str(name_problem(name))


def test_accounts_are_read_and_never_repeated_in_a_message(tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text(
        f"payee_id,holder_name,iban,bic\nann,Ann,DE89 3704 0044 0532 0130 00,cobadeff\nbob,Bob,{IBANS[1]},\n"
    )
    accounts = read_bank_accounts(file)
    assert [(each.iban, each.bic) for each in accounts.values()] == [(IBANS[0], "COBADEFF"), (IBANS[1], None)]
    assert repr(accounts[2]) == "BankAccount(ann, DE…3000)"
    file.write_text(
        "payee_id,holder_name,iban,bic\nann,Ann,DE88370400440532013000,12345678\nann,,GB82,\n"
        "zoe,Zoe,dıe89370400440532013000,\n"
    )
    with pytest.raises(FileRefusedError) as caught:
        read_bank_accounts(file)
    text = str(caught.value)
    for part in (
        "line 2, column iban: payee ann: not an IBAN: its check digits are wrong",
        "line 2, column bic: payee ann: not a BIC; allowed: 4 letters",
        "line 3, column holder_name: payee ann: the holder's name must be 1 to 70",
        "line 3, column iban: payee ann: not an IBAN",
        "payee ann appears twice",
        "line 4, column iban: payee zoe: not an IBAN",
    ):
        assert part in text
    assert not [value for value in ("0532013000", "12345678") if value in text]


def test_an_account_that_is_right_has_no_problem() -> None:
    assert account_problems(BankAccount("ann", "Ann Älv", IBAN, "COBADEFFXXX")) == {}
