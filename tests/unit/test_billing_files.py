"""Catalogue and rate files: read as a whole, every error named with its place, nothing guessed."""

from pathlib import Path

import pytest

from billing.catalogue import Catalogue, Payee, Video
from billing.errors import FileRefusedError
from billing.file_catalogue import read_catalogue
from billing.file_rate_cards import read_rate_contract

PROJECT = Path(__file__).parents[2]
GOOD_PAYEES = "payee_id,name,user_id\nann,Ann's channel,user-1\n-bob,Bob\u00e9,\n"
GOOD_VIDEOS = "video_id,payee_id,length_seconds\n_v2,ann,12\n-v1,-bob,\n"
GOOD_RATES = """
currency: EUR
rate_cards:
  - effective_from_on: 2026-01-01
    rate_per_thousand_micros: {default: 1_000_000, by_country: {NO: 7, US: 0}}
"""


def catalogue_from(folder: Path, payees: str = GOOD_PAYEES, videos: str = GOOD_VIDEOS) -> Catalogue:
    (folder / "payees.csv").write_bytes(payees.encode("utf-8", "surrogateescape"))
    (folder / "videos.csv").write_bytes(videos.encode("utf-8", "surrogateescape"))
    return read_catalogue(folder / "payees.csv", folder / "videos.csv", lambda user_id: f"pseudonym of {user_id}")


def problems(folder: Path, **files: str) -> list[str]:
    with pytest.raises(FileRefusedError) as caught:
        catalogue_from(folder, **files)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def rate_problems(folder: Path, text: str) -> list[str]:
    (folder / "rates.yaml").write_text(text)
    with pytest.raises(FileRefusedError) as caught:
        read_rate_contract(folder / "rates.yaml")
    return [problem.removeprefix(f"{folder}/rates.yaml") for problem in caught.value.problems]


def test_a_catalogue_is_read_with_pseudonyms_in_place_of_viewer_ids(tmp_path: Path) -> None:
    assert catalogue_from(tmp_path) == Catalogue(
        (Payee("-bob", "Bob\u00e9"), Payee("ann", "Ann's channel", "pseudonym of user-1")),
        (Video("-v1", "-bob"), Video("_v2", "ann", 12)),
    )


def test_the_order_of_rows_and_columns_and_the_kind_of_line_end_do_not_matter(tmp_path: Path) -> None:
    hash_before = catalogue_from(tmp_path).content_hash()
    other = catalogue_from(
        tmp_path,
        "\ufeffname,payee_id,user_id\r\nBob\u00e9,-bob,\r\nAnn's channel,ann,user-1\r\n\r\n",
        "payee_id,length_seconds,video_id\n-bob,,-v1\nann,12,_v2\n",
    )
    assert other.content_hash() == hash_before


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    read = catalogue_from(tmp_path, "payee_id,name\nann,Ann\n", "video_id,payee_id\nv,ann\n")
    assert read == Catalogue((Payee("ann", "Ann"),), (Video("v", "ann"),))


@pytest.mark.parametrize("left_behind", ["#NAME?", "#REF!", "#N/A", "#VALUE!", "#DIV/0!", "1.2E+11", "6E+05"])
def test_what_a_spreadsheet_leaves_behind_is_named(tmp_path: Path, left_behind: str) -> None:
    (problem,) = problems(tmp_path, videos=f"video_id,payee_id\nv,ann\n{left_behind},ann\n")
    assert problem.startswith(f"videos.csv, line 3, column video_id: '{left_behind}' is what a spreadsheet left behind")
    assert problem.endswith("allowed: 1 to 64 of A-Z a-z 0-9 _ -")


def test_every_problem_of_both_files_is_named_with_file_line_and_column(tmp_path: Path) -> None:
    payees = 'payee_id,name,user_id\nann,,\nann,"two\nlines",\na b,Ann,\n'
    videos = "video_id,payee_id,length_seconds\nv,zoe,1.5\nv,ann,0\nw\n"
    found = problems(tmp_path, payees=payees, videos=videos)
    assert [problem.partition(":")[0] for problem in found] == [
        "payees.csv, line 2, column name",
        "payees.csv, line 3, column name",
        "payees.csv, line 3, column payee_id",
        "payees.csv, line 5, column payee_id",
        "videos.csv, line 2, column payee_id",
        "videos.csv, line 2, column length_seconds",
        "videos.csv, line 3, column video_id",
        "videos.csv, line 3, column length_seconds",
        "videos.csv, line 4, column 2",
    ]
    assert all("allowed: " in problem for problem in found[:-1])


def test_a_viewer_id_is_never_shown(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, payees=GOOD_PAYEES.replace("user-1", "secret" * 30))
    assert "secret" not in problem
    assert "not shown: it may identify a person" in problem


def test_headers_are_checked(tmp_path: Path) -> None:
    assert problems(tmp_path, payees="payee,name,name\n", videos="") == [
        "payees.csv, line 1, column 1: 'payee' is not a column; allowed: payee_id, name, user_id",
        "payees.csv, line 1, column 3: 'name' stands twice in the header",
        "payees.csv, line 1, column payee_id: the column is missing from the header",
        "videos.csv, line 1, column video_id: the column is missing from the header",
        "videos.csv, line 1, column payee_id: the column is missing from the header",
    ]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, payees="payee_id,name\nann,\udcff\n", videos='video_id,payee_id\nv,"ann\n')
    assert found == [
        "payees.csv, line 2: not UTF-8; save the file as UTF-8",
        "videos.csv, line 2: not readable as CSV: unexpected end of data",
    ]
    with pytest.raises(FileRefusedError, match=r"gone\.csv: cannot be read \(No such file or directory\)"):
        read_catalogue(tmp_path / "gone.csv", tmp_path / "videos.csv", str)


def test_rates_are_read_and_norway_is_a_country(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(GOOD_RATES)
    contract = read_rate_contract(tmp_path / "rates.yaml")
    assert contract.currency == "EUR"
    assert contract.cards[0].default_per_thousand_micros == 1_000_000
    assert contract.cards[0].per_thousand_micros_by_country == {"NO": 7, "US": 0}


def test_the_sample_rates_are_good() -> None:
    assert read_rate_contract(PROJECT / "deploy" / "sample" / "rates.yaml").currency == "USD"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("2.5", "2.5 is a number with a fraction; allowed: whole micro-units"),
        ("2.0", "2.0 is a number with a fraction; allowed: whole micro-units"),
        ("1e6", "1000000.0 is a number with a fraction"),
        ("-1", "-1 is out of range; allowed: whole micro-units from 0 to 1000000000000"),
        ("1000000000001", "1000000000001 is out of range"),
        ("true", "True is not a whole number"),
        ("0123", "'0123' is not a whole number"),
        ("1:30", "'1:30' is not a whole number"),
        ("'5'", "'5' is not a whole number"),
        ("~", "None is not a whole number"),
        ("1_00", "'1_00' is not a whole number"),
    ],
)
def test_a_rate_is_a_whole_number_of_micros(tmp_path: Path, wrong: str, reason: str) -> None:
    (problem,) = rate_problems(tmp_path, GOOD_RATES.replace("1_000_000", wrong))
    assert problem.startswith(f", line 5, rate_cards[0].rate_per_thousand_micros.default: {reason}")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("EUR", "EURO", ", line 2, currency: 'EURO' is not a currency; allowed: a code of ISO 4217"),
        ("2026-01-01", "2026-02-30", ", line 4, rate_cards[0].effective_from_on: '2026-02-30' is not a day"),
        ("2026-01-01", "20260101", ", line 4, rate_cards[0].effective_from_on: 20260101 is not what belongs here"),
        ("NO: 7", "no: 7", ", line 5, rate_cards[0].rate_per_thousand_micros.by_country: 'no' is not a country"),
        ("NO: 7", "US: 7", ", line 5, rate_cards[0].rate_per_thousand_micros.by_country.US: the key stands twice"),
        ("currency: EUR", "", ", line 3, the document: 'currency' is a required property"),
        ("rate_cards:", "rates: 1\nrate_cards:", ", line 2, the document: Additional properties are not allowed"),
        ("{default", "[default", ", line 5, column "),
    ],
)
def test_other_errors_in_rates_are_named_by_line_and_key(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (problem,) = rate_problems(tmp_path, GOOD_RATES.replace(old, new))
    assert problem.startswith(reason)


def test_two_cards_of_one_day_are_refused(tmp_path: Path) -> None:
    card = "  - {effective_from_on: 2026-01-01, rate_per_thousand_micros: {default: 1}}\n"
    assert rate_problems(tmp_path, "currency: USD\nrate_cards:\n" + 2 * card) == [
        ", line 4, rate_cards[1].effective_from_on: 2026-01-01 is the first day of rate_cards[0] too; "
        "allowed: each day once"
    ]


@pytest.mark.parametrize("text", ["", "5", "- 1", "&a [*a]", "\x00", "currency: USD\nrate_cards: []\n"])
def test_no_text_makes_the_reader_crash(tmp_path: Path, text: str) -> None:
    assert rate_problems(tmp_path, text)
