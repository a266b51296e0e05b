"""Catalogue files: read as a whole, every error named with its place, nothing guessed."""

import os
from datetime import date
from pathlib import Path

import pytest

from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.differences import catalogue_differences
from billing.terms.file_catalogue import read_catalogue
from billing.terms.file_csv import read_text
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from ingestion.contract.requests import FileRefusedError

GOOD_PAYEES = "payee_id,name,user_id\nann,Ann's channel,user-1\n-bob,Bob\u00e9,\n"
GOOD_VIDEOS = "video_id,payee_id,length_seconds\n_v2,ann,12\n-v1,-bob,\n"


def catalogue_from(
    folder: Path, payees: str = GOOD_PAYEES, videos: str = GOOD_VIDEOS, owners: str | None = None
) -> Catalogue:
    files = {"payees.csv": payees, "videos.csv": videos} | ({} if owners is None else {"owners.csv": owners})
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    owners_file = None if owners is None else folder / "owners.csv"
    return read_catalogue(
        folder / "payees.csv", folder / "videos.csv", owners_file, lambda user_id: f"pseudonym of {user_id}"
    )


def problems(folder: Path, **files: str) -> list[str]:
    with pytest.raises(FileRefusedError) as caught:
        catalogue_from(folder, **files)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_catalogue_is_read_with_pseudonyms_in_place_of_viewer_ids(tmp_path: Path) -> None:
    assert catalogue_from(tmp_path) == Catalogue(
        (Payee("-bob", "Bob\u00e9"), Payee("ann", "Ann's channel", "pseudonym of user-1")),
        (Video("-v1"), Video("_v2", 12)),
        (whole_share("-v1", "-bob"), whole_share("_v2", "ann")),
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
    assert read == Catalogue((Payee("ann", "Ann"),), (Video("v"),), (whole_share("v", "ann"),))


def test_titles_are_for_people_and_in_no_hash_that_amounts_rest_on(tmp_path: Path) -> None:
    untitled = catalogue_from(tmp_path)
    videos = 'video_id,payee_id,length_seconds,title\n_v2,ann,12,"Straße, 2: =1+1"\n-v1,-bob,,\n'
    titled = catalogue_from(tmp_path, videos=videos)
    assert titled.title_by_video == {"_v2": "Straße, 2: =1+1"}
    assert titled.content_hash() == untitled.content_hash()
    assert untitled.titles_hash() is None
    other = catalogue_from(tmp_path, videos=videos.replace("=1+1", "=1+2"))
    assert len({titled.titles_hash(), other.titles_hash(), None}) == 3
    assert list(catalogue_differences(untitled, titled)) == [
        "video _v2 had the title none and has Straße, 2: =1+1",
    ]


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        (" ", "is not a title; allowed: empty, or 1 to 200 printable characters"),
        ("x" * 201, "is not a title; allowed: empty, or 1 to 200 printable characters"),
        ("a\u202eb", "is not a title; allowed: empty, or 1 to 200 printable characters"),
        ("#NAME?", "is a spreadsheet's error"),
    ],
)
def test_a_title_that_cannot_be_shown_is_named(tmp_path: Path, title: str, reason: str) -> None:
    (problem,) = problems(tmp_path, videos=f"video_id,payee_id,title\nv,ann,ok\nw,ann,{title}\n")
    assert problem.startswith("videos.csv, line 3, column title: ")
    assert problem.endswith(reason)


@pytest.mark.parametrize("leftover", ["#NAME?", "#REF!", "#N/A", "#VALUE!", "#DIV/0!", "1.2E+11", "6E+05"])
def test_an_error_of_a_spreadsheet_is_named(tmp_path: Path, leftover: str) -> None:
    (problem,) = problems(tmp_path, videos=f"video_id,payee_id\nv,ann\n{leftover},ann\n")
    assert problem.startswith(f"videos.csv, line 3, column video_id: '{leftover}' is a spreadsheet's error")
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
        "payees.csv, line 1, column 1: 'payee' is not a column; allowed: payee_id, name, user_id, country",
        "payees.csv, line 1, column 3: 'name' appears twice in the header",
        "payees.csv, line 1, column payee_id: the column is missing from the header",
        "videos.csv, line 1, column video_id: the column is missing from the header",
    ]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, payees="payee_id,name\nann,\udcff\n", videos='video_id,payee_id\nv,"ann\n')
    assert found == [
        "payees.csv, line 2: not UTF-8; save the file as UTF-8",
        "videos.csv, line 2: not readable as CSV: unexpected end of data",
    ]
    with pytest.raises(FileRefusedError, match=r"gone\.csv: cannot be read \(No such file or directory\)"):
        read_catalogue(tmp_path / "gone.csv", tmp_path / "videos.csv", None, str)


TWO_PAYEES = "payee_id,name\nann,Ann\nbob,Bob\n"
OWNED_ELSEWHERE = "video_id,payee_id,length_seconds\nv,,\nw,ann,\n"
OWNERS = "video_id,payee_id,share_ppm,from_on,to_on\n"


def owner_problems(folder: Path, rows: str) -> list[str]:
    return problems(folder, payees=TWO_PAYEES, videos=OWNED_ELSEWHERE, owners=OWNERS + rows)


def test_shares_with_days_are_read_and_a_video_that_changes_hands_has_two_intervals(tmp_path: Path) -> None:
    rows = "v,ann,400000,,\nv,ann,600000,,2026-10-16\nv,bob,600000,2026-10-16,\n"
    read = catalogue_from(tmp_path, TWO_PAYEES, OWNED_ELSEWHERE, OWNERS + rows)
    sale_on = date(2026, 10, 16)
    assert read.owners == (
        OwnerShare("v", SINCE_EVER, sale_on, "ann", 1_000_000),
        OwnerShare("v", sale_on, WITHOUT_END, "ann", 400_000),
        OwnerShare("v", sale_on, WITHOUT_END, "bob", 600_000),
        whole_share("w", "ann"),
    )


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        (
            "v,ann,999999,,\n",
            "line 2, column share_ppm: video 'v': from the beginning to the end the shares add up to 999999",
        ),
        (
            "v,ann,1000000,,2026-01-01\nv,bob,1000000,2026-02-01,\n",
            "line 2, column share_ppm: video 'v': from 2026-01-01 to 2026-02-01 (not included) the shares add up to 0; "
            "allowed: 1000000 on every day",
        ),
        (
            "v,ann,1000000,,2026-02-01\nv,bob,1000000,2026-01-01,\n",
            "line 2, column share_ppm: video 'v': from 2026-01-01 to 2026-02-01 (not included) the shares add up to "
            "2000000",
        ),
        ("v,ann,0.5,,\n", "line 2, column share_ppm: '0.5' is not a share; allowed: whole parts per million from 1"),
        ("v,ann,0,,\n", "line 2, column share_ppm: '0' is not a share"),
        ("v,zoe,1000000,,\n", "line 2, column payee_id: 'zoe' is not in the payees file"),
        ("x,ann,1000000,,\n", "line 2, column video_id: 'x' is not in the videos file"),
        ("w,ann,1000000,,\n", "line 2, column video_id: 'w' has its one owner in the videos file"),
        ("v,ann,1000000,2026-02-30,\n", "line 2, column from_on: '2026-02-30' is not a day"),
        ("v,ann,1000000,2026-02-03,2026-02-03\n", "line 2, column to_on: 2026-02-03 is not after 2026-02-03"),
    ],
)  # fmt: skip
def test_a_wrong_share_is_named_with_its_place(tmp_path: Path, rows: str, answer: str) -> None:
    (problem,) = owner_problems(tmp_path, rows)
    assert problem.startswith(f"owners.csv, {answer}")


def test_a_video_without_an_owner_is_nobodys(tmp_path: Path) -> None:
    payees, videos = tmp_path / "payees.csv", tmp_path / "videos.csv"
    payees.write_text("payee_id,name\nann,Ann\n")
    videos.write_text("video_id,payee_id\nv,\nw,ann\n")
    catalogue = read_catalogue(payees, videos, None, str)
    assert [video.video_id for video in catalogue.videos] == ["v", "w"]
    assert [share.video_id for share in catalogue.owners] == ["w"]


@pytest.mark.parametrize("wrong", ["XX", "ZZ", "U", "Germany", "840", "US-CA", "U\u0405", " US", "SU"])
def test_a_wrong_country_is_named(tmp_path: Path, wrong: str) -> None:
    (problem,) = problems(tmp_path, payees=f"payee_id,name,country\nann,Ann,{wrong}\n-bob,Bob,US\n")
    answer = f"payees.csv, line 2, column country: {wrong!r} is not a country; allowed: empty, or a code of ISO 3166"
    assert problem.startswith(answer)


@pytest.mark.parametrize(
    ("written", "country"),
    [("us", "US"), ("USA", "US"), ("uk", "GB"), ("EL", "GR"), ("NO", "NO"), ("", None)],
)
def test_a_country_has_one_spelling_however_it_is_written(tmp_path: Path, written: str, country: str | None) -> None:
    read = catalogue_from(tmp_path, f"payee_id,name,country\nann,Ann,{written}\n-bob,Bob,\n")
    assert read.payee_by_id["ann"].country == country


def test_names_in_every_script_are_names(tmp_path: Path) -> None:
    for name in ("علی\u200cرضا", "क्\u200dष", "ශ්\u200dරී", "Ann\u00a0Lee", "李"):
        assert catalogue_from(tmp_path, f"payee_id,name\nann,{name}\n-bob,B\n").payee_by_id["ann"].name == name


@pytest.mark.parametrize("name", ["\u202eynnA", "\u00a0", "a\x1b[31m", "\u200b"])
def test_a_name_that_is_not_seen_or_steers_the_screen_is_none(tmp_path: Path, name: str) -> None:
    (problem,) = problems(tmp_path, payees=f"payee_id,name\nann,{name}\n-bob,B\n")
    assert problem.startswith("payees.csv, line 2, column name: ")
    assert problem.isprintable()


def test_the_nearest_known_id_is_named(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, videos="video_id,payee_id\nv,anne\n")
    assert problem == (
        "videos.csv, line 2, column payee_id: 'anne' is not in the payees file; the nearest that is there is 'ann'"
    )


def test_many_unknown_ids_do_not_take_longer_each(tmp_path: Path) -> None:
    payees = "payee_id,name\n" + "".join(f"payee{number},N\n" for number in range(2_000))
    found = problems(
        tmp_path, payees=payees, videos="video_id,payee_id\n" + "".join(f"v{n},pyee{n}\n" for n in range(2_000))
    )
    assert len(found) == 2_000
    assert "the nearest that is there is 'payee0'" in found[0]
    assert found[-1].endswith("allowed: one that is there")


def test_empty_rows_that_a_spreadsheet_leaves_are_skipped(tmp_path: Path) -> None:
    read = catalogue_from(tmp_path, f"{GOOD_PAYEES},,\n ,\t,\n,,,,,\n", f"{GOOD_VIDEOS},,\n,,\n")
    assert read == catalogue_from(tmp_path)


def test_a_row_without_its_id_is_not_an_empty_row(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, payees=f"{GOOD_PAYEES},Zoe,\n")
    assert problem.startswith("payees.csv, line 4, column payee_id: '' is not an id")


@pytest.mark.parametrize(("separator", "answer"), [(";", "';'"), ("\t", "tabs"), ("|", "'|'")])
def test_other_separators_than_commas_are_told(tmp_path: Path, separator: str, answer: str) -> None:
    (problem,) = problems(tmp_path, payees=GOOD_PAYEES.replace(",", separator), videos="video_id,payee_id\n")
    assert problem.startswith(f"payees.csv, line 1, column 1: the columns are separated by {answer}; allowed: commas")


def test_a_file_in_another_encoding_of_unicode_is_told(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes("payee_id,name\nann,Ann\n".encode("utf-16-le"))
    (tmp_path / "v").write_text(GOOD_VIDEOS)
    with pytest.raises(
        FileRefusedError, match="p, line 1: holds a zero byte, so it is not text; save the file as UTF-8"
    ):
        read_catalogue(tmp_path / "p", tmp_path / "v", None, str)


def test_what_is_not_a_file_is_neither_waited_for_nor_read_without_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(FileRefusedError, match=r"is a folder, a pipe or a device; give a file|Is a directory"):
            read_text(place)
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert len(read_text(tmp_path / "large", 11)) == 11
    with pytest.raises(FileRefusedError, match="large: has more than 10 bytes"):
        read_text(tmp_path / "large", 10)
