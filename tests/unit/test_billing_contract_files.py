"""Contract files: checked by the schema and by what it cannot say, every error named with its line and key."""

from datetime import date
from pathlib import Path

import pytest

from billing.terms.contract_document import content_hash, contracts_from, document_of
from billing.terms.contracts import AdRate, Contracts, RateForm, StatementTerms
from billing.terms.file_contracts import read_contracts
from ingestion.contract.requests import FileRefusedError
from tests.billing_fakes import card_of, contracts_of
from tests.shipped_policies import POLICIES

PROJECT = Path(__file__).parents[2]
GOOD = """
currency: EUR
contracts:
  - name: standard
    cards:
      - effective_from_on: 2026-01-01
        rate_per_thousand_micros: {default: 1_000_000, by_country: {NO: 7, US: 0}}
"""
FULL = """
currency: EUR
contracts:
  - name: standard
    cards:
      - effective_from_on: 2026-01-01
        rate_per_thousand_micros: {default: 1_000_000}
  - name: network
    payees: [bob, ann]
    cards:
      - effective_from_on: 2026-05-01
        minimum_view_seconds: 45
        rate_per_thousand_micros:
          default: {graduated: [{up_to_views: 1000, per_thousand_micros: 5}, {per_thousand_micros: 7}]}
          by_country: {US: {volume: [{up_to_views: 10, per_thousand_micros: 1}, {per_thousand_micros: 2}]}}
        ad_income: {pre_roll: {per_thousand_micros: 4_000_000, share_ppm: 550_000}}
        withholding_tax_ppm: {default: 0, by_country: {US: 300_000}}
        cap_micros_per_period: 9
        minimum_payout_micros: 50_000_000
"""
BY_COUNTRY = ", line 7, contracts[0].cards[0].rate_per_thousand_micros.by_country"
RATE = "rate_per_thousand_micros: {default: 1_000_000, by_country: {NO: 7, US: 0}}"


def contracts_from_text(folder: Path, text: str) -> Contracts:
    (folder / "rates.yaml").write_text(text)
    return read_contracts(folder / "rates.yaml", POLICIES)


def contract_problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(FileRefusedError) as caught:
        contracts_from_text(folder, text)
    return [problem.removeprefix(f"{folder}/rates.yaml") for problem in caught.value.problems]


def test_rates_are_read_and_norway_is_a_country(tmp_path: Path) -> None:
    contracts = contracts_from_text(tmp_path, GOOD)
    assert contracts == contracts_of(card_of(1_000_000, date(2026, 1, 1), NO=7, US=0), currency="EUR")


def test_the_sample_rates_are_good() -> None:
    assert read_contracts(PROJECT / "deploy" / "sample" / "rates.yaml", POLICIES).currency == "USD"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("2.5", "2.5 is a number with a fraction; allowed: a whole number"),
        ("2.0", "2.0 is a number with a fraction; allowed: a whole number"),
        ("1e6", "1000000.0 is a number with a fraction"),
        ("-1", "-1 is out of range; allowed: whole numbers from 0 to 1000000000000"),
        ("1000000000001", "1000000000001 is out of range"),
        ("true", "True is not a whole number"),
        ("0123", "'0123' is not a whole number"),
        ("1:30", "'1:30' is not a whole number"),
        ("'5'", "'5' is not a whole number"),
        ("~", "None is not a whole number"),
        ("1_00", "'1_00' is not a whole number"),
        ("1234_567", "'1234_567' is not a whole number"),
        ("0x1F", "'0x1F' is not a whole number"),
        ("0o17", "'0o17' is not a whole number"),
        ("-0", "'-0' is not a whole number"),
        ("+5", "'+5' is not a whole number"),
        ("\u0665", "'\u0665' is not a whole number"),
        (".inf", "'.inf' is not a whole number"),
        ("9" * 50, "'" + "9" * 50 + "' is not a whole number"),
    ],
)
def test_a_rate_is_a_whole_number_of_micros(tmp_path: Path, wrong: str, reason: str) -> None:
    (problem,) = contract_problems(tmp_path, GOOD.replace("1_000_000", wrong))
    assert problem.startswith(f", line 7, contracts[0].cards[0].rate_per_thousand_micros.default: {reason}")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("EUR", "EURO", ", line 2, currency: 'EURO' is not one; allowed: a currency code of ISO 4217"),
        ("2026-01-01", "2026-02-30", ", line 6, contracts[0].cards[0].effective_from_on: '2026-02-30' is not a day"),
        (
            "2026-01-01",
            "20260101",
            ", line 6, contracts[0].cards[0].effective_from_on: 20260101 is not what belongs here",
        ),
        (
            "NO: 7",
            "XX: 7",
            ", line 7, contracts[0].cards[0].rate_per_thousand_micros.by_country.XX: 'XX' is not a country; allowed:",
        ),
        (
            "NO: 7",
            "US-CA: 7",
            ", line 7, contracts[0].cards[0].rate_per_thousand_micros.by_country: 'US-CA' is not one; allowed:",
        ),
        (
            "NO: 7",
            "usa: 7",
            ", line 7, contracts[0].cards[0].rate_per_thousand_micros.by_country.US: 'US' is the country of 'usa' too",
        ),
        (
            "NO: 7",
            '"\\e[31m": 7',
            ", line 7, contracts[0].cards[0].rate_per_thousand_micros.by_country: '\\x1b[31m' is not one; allowed: a",
        ),
        (
            "NO: 7",
            "US: 7",
            ", line 7, contracts[0].cards[0].rate_per_thousand_micros.by_country.US: the key appears twice",
        ),
        ("currency: EUR", "", ", line 3, the document: 'currency' is missing; give it"),
        (
            "contracts:",
            "rates: 1\ncontracts:",
            ", line 2, the document: 'rates' is not a key here; allowed: currency, contracts",
        ),
        ("{default", "[default", ", line 7, column "),
    ],
)
def test_other_errors_in_rates_are_named_by_line_and_key(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (problem,) = contract_problems(tmp_path, GOOD.replace(old, new))
    assert problem.startswith(reason)


def test_two_cards_of_one_day_are_refused(tmp_path: Path) -> None:
    card = "      - {effective_from_on: 2026-01-01, rate_per_thousand_micros: {default: 1}}\n"
    assert contract_problems(tmp_path, GOOD + card) == [
        ", line 8, contracts[0].cards[1].effective_from_on: 2026-01-01 is the first day of cards[0] too; "
        "allowed: each day once"
    ]


def test_countries_have_one_spelling(tmp_path: Path) -> None:
    written = GOOD.replace("{NO: 7, US: 0}", "{no: 7, uk: 1, EL: 2, USA: 0}")
    plain = GOOD.replace("{NO: 7, US: 0}", "{NO: 7, GB: 1, GR: 2, US: 0}")
    assert contracts_from_text(tmp_path, written) == contracts_from_text(tmp_path, plain)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (GOOD.replace("1_000_000", "!!int 0x1F"), ", line 7, column 45: not readable as YAML: a tag; write the value"),
        (GOOD.replace("1_000_000", "!!bool yes"), ", line 7, column 45: not readable as YAML: a tag"),
        (GOOD.replace("EUR", "!!python/name:os.system x"), ", line 2, column 11: not readable as YAML: a tag"),
        (GOOD.replace("1_000_000", "&r 5").replace("NO: 7", "NO: *r"), ", line 7, column 68: not readable as YAML: a"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", ", line 2, column 8: not readable as YAML: an alias; write"),
        ("[" * 2_000_000, ", line 1, column 31: not readable as YAML: nested too deeply"),
        ("- " * 60, ", line 1, column 61: not readable as YAML: nested too deeply; at most 30 values"),
        (GOOD.replace("{NO: 7", "{? [a] : 7"), f"{BY_COUNTRY}: a key is not text"),
        (GOOD.replace("name: standard", 'name: "a\\e[31m"'), ", line 4, contracts[0].name: 'a\\x1b[31m' is not a name"),
    ],
)  # fmt: skip
def test_what_yaml_does_beyond_values_is_refused(tmp_path: Path, text: str, answer: str) -> None:
    found = contract_problems(tmp_path, text)
    assert found[0].startswith(answer)
    assert all(each.isprintable() for each in found)


@pytest.mark.parametrize("text", ["", "5", "- 1", "&a [*a]", "\x00", "currency: USD\ncontracts: []\n"])
def test_no_text_makes_the_reader_crash(tmp_path: Path, text: str) -> None:
    assert contract_problems(tmp_path, text)


def test_all_that_a_contract_can_say_is_read(tmp_path: Path) -> None:
    contracts = contracts_from_text(tmp_path, FULL)
    (standard, network) = contracts.contracts
    assert (contracts.contract_for("ann"), contracts.contract_for("zoe")) == (network, standard)
    (card,) = network.cards
    assert (card.minimum_view_seconds, card.minimum_payout_micros) == (45, 50_000_000)
    assert (card.default.form, card.default.tiers) == (RateForm.GRADUATED, ((1000, 5), (None, 7)))
    assert (card.by_country["US"].form, card.by_country["US"].tiers) == (RateForm.VOLUME, ((10, 1), (None, 2)))
    assert card.ads == {"pre_roll": AdRate(4_000_000, 550_000)}
    assert (card.ad_rate("pre_roll"), card.ad_rate("mid_roll")) == (2_200_000, None)
    assert card.statement_terms("US") == StatementTerms("US", 300_000, 9)
    assert card.statement_terms(None) == StatementTerms("ZZ", 0, 9)


def test_contracts_come_back_from_their_stored_form_and_the_order_of_keys_does_not_matter(tmp_path: Path) -> None:
    contracts = contracts_from_text(tmp_path, FULL)
    assert contracts_from(document_of(contracts)) == contracts
    other = contracts_from_text(tmp_path, FULL.replace("[bob, ann]", "[ann, bob]"))
    assert content_hash(other) == content_hash(contracts)


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("{NO: 7", "{NO: {graduated: [{up_to_views: 5, per_thousand_micros: 1}]}", "the last tier has no end"),
        (
            "{NO: 7",
            "{NO: {volume: [{per_thousand_micros: 1}, {per_thousand_micros: 1}]}",
            "only the last tier has no up_to_views",
        ),
        (
            "{NO: 7",
            "{NO: {volume: [{up_to_views: 5, per_thousand_micros: 1}, {up_to_views: 5, per_thousand_micros: 1}, "
            "{per_thousand_micros: 1}]}",
            "5 is not above 5, where the tier before it ends",
        ),
        ("{NO: 7", "{NO: {}", "allowed: exactly one of graduated and volume"),
        ("{NO: 7", "{NO: {tiers: []}", "'tiers' is not a key here; allowed: graduated, volume"),
        (RATE, RATE + "\n        minimum_view_seconds: 29", "29 is laxer than counting policy 1 with its 30 seconds"),
        (
            RATE,
            RATE + "\n        ad_income: {pre_roll: {per_thousand_micros: 1, share_ppm: 500_000}}",
            "1 x 500000 parts per million is not a whole number of micro-units",
        ),
        ("EUR", "XYZ", "'XYZ' is not a currency"),
        ("EUR", "XAU", "'XAU' is not a currency"),
        ("name: standard", "name: standard\n    payees: [ann, ann]", "payee ann has the contract 'standard' already"),
    ],
)  # fmt: skip
def test_what_a_schema_cannot_say_is_checked_too(tmp_path: Path, old: str, new: str, answer: str) -> None:
    (problem,) = contract_problems(tmp_path, GOOD.replace(old, new))
    assert answer in problem


def test_two_contracts_for_everybody_else_or_of_one_name_are_refused(tmp_path: Path) -> None:
    second = GOOD.partition("contracts:")[2]
    assert contract_problems(tmp_path, GOOD + second) == [
        ", line 9, contracts[1].name: 'standard' is the name of contracts[0] too; allowed: each name once",
        ", line 9, contracts[1]: contract 'standard' is for all other payees already; give one of the two `payees`",
    ]


def test_a_contract_for_somebody_who_is_not_there_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(FULL)
    with pytest.raises(FileRefusedError) as caught:
        read_contracts(tmp_path / "rates.yaml", POLICIES, payees={"ann", "bobby"})
    (problem,) = caught.value.problems
    answer = "line 9, contracts[1].payees[0]: 'bob' is not in the catalogue; the nearest that is there is 'bobby'"
    assert problem == f"{tmp_path}/rates.yaml, {answer}"
    assert read_contracts(tmp_path / "rates.yaml", POLICIES, payees={"ann", "bob"}).contract_for("bob")


@pytest.mark.parametrize("name", [" ", "a\\0b", "\\ud800", "\\u202e", "a\\nb"])
def test_a_type_of_advertisement_is_a_name(tmp_path: Path, name: str) -> None:
    income = f'\n        ad_income: {{"{name}": {{per_thousand_micros: 0, share_ppm: 0}}}}'
    (problem,) = contract_problems(tmp_path, GOOD.replace(RATE, RATE + income))
    assert problem.endswith("not a type of advertisement; allowed: 1 to 64 printable characters")
