"""Read payees.csv, videos.csv and owners.csv: all or nothing, every error named with file, line and column."""

import re
from collections.abc import Callable

from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.file_countries import COUNTRY_ALLOWED, country_in_file
from billing.terms.file_csv import SPREADSHEET_ERROR, CsvRow, NamedFile, Problems, read_id, rows_of, shown
from billing.terms.file_owners import SharesByVideo, check_sums, read_owners
from billing.terms.ownership import divided, whole_share
from ingestion.contract.printable import is_name, is_printable
from ingestion.contract.requests import FileRefusedError

PAYEE_COLUMNS = ("payee_id", "name", "user_id", "country")
VIDEO_COLUMNS = ("video_id", "payee_id", "length_seconds", "title")
LENGTH_SECONDS_MAX = 10_000_000
NAME_LENGTH_MAX = 200


def read_catalogue(
    payees_file: NamedFile, videos_file: NamedFile, owners_file: NamedFile | None, pseudonymise: Callable[[str], str]
) -> Catalogue:
    """Return the catalogue of the files; viewer ids are replaced by their pseudonyms as they are read.

    A video has its one owner in videos.csv (the whole share, on all days), or all its owners in owners.csv, or no
    owner yet: its earnings are then in suspense.

    Raises:
        FileRefusedError: names every problem of all files.
    """
    problems, shares = Problems(), SharesByVideo()
    payees = _read_payees(payees_file, pseudonymise, problems)
    videos = _read_videos(videos_file, payees, shares, problems)
    if owners_file is not None:
        read_owners(owners_file, payees, videos, shares, problems)
    check_sums(owners_file, videos, shares, problems)
    if problems.found:
        raise FileRefusedError(problems.found)
    return Catalogue(
        tuple(sorted(payees.values(), key=lambda payee: payee.payee_id)),
        tuple(videos[video_id] for video_id in sorted(videos)),
        tuple(share for video_id in sorted(videos) for share in divided(video_id, shares.of(video_id))),
    )


def _read_payees(file: NamedFile, pseudonymise: Callable[[str], str], problems: Problems) -> dict[str, Payee]:
    payees: dict[str, Payee] = {}
    first_line: dict[str, int] = {}
    for row in rows_of(file, PAYEE_COLUMNS, {"user_id", "country"}, problems):
        before = len(problems.found)
        payee_id = read_id(file, row, "payee_id", problems)
        _check_name(file, row, "name", problems)
        user_id, country = row.cells["user_id"], row.cells["country"]
        if len(user_id) > 128 or not is_printable(user_id) or SPREADSHEET_ERROR.fullmatch(user_id.strip()):
            text = "not a viewer id (not shown: it may identify a person); allowed: empty, or 1 to 128 characters"
            problems.add(file, row.line, "user_id", text)
        if country and country_in_file(country) is None:
            text = f"{shown(country)} is not a country; allowed: empty, or {COUNTRY_ALLOWED}"
            problems.add(file, row.line, "country", text)
        if payee_id in first_line:
            text = f"{payee_id!r} stands on line {first_line[payee_id]} too; allowed: each payee once"
            problems.add(file, row.line, "payee_id", text)
        first_line.setdefault(payee_id, row.line)
        # Kept even when another column is wrong, so that its videos do not all become errors as well.
        sound = len(problems.found) == before
        pseudonym = pseudonymise(user_id) if user_id and sound else None
        payees[payee_id] = Payee(payee_id, row.cells["name"], pseudonym, country_in_file(country))
    return payees


def _check_name(file: NamedFile, row: CsvRow, column: str, problems: Problems, *, or_empty: bool = False) -> None:
    name = row.cells[column]
    if not (or_empty and not name) and not is_name(name, most=NAME_LENGTH_MAX):
        allowed = f"{'empty, or ' if or_empty else ''}1 to {NAME_LENGTH_MAX} printable characters"
        problems.add(file, row.line, column, f"{shown(name)} is not a {column}; allowed: {allowed}")
    elif SPREADSHEET_ERROR.fullmatch(name.strip()):
        problems.add(file, row.line, column, f"{shown(name)} is a spreadsheet's error")


def _read_videos(
    file: NamedFile, payees: dict[str, Payee], shares: SharesByVideo, problems: Problems
) -> dict[str, Video]:
    videos: dict[str, Video] = {}
    first_line: dict[str, int] = {}
    for row in rows_of(file, VIDEO_COLUMNS, {"payee_id", "length_seconds", "title"}, problems):
        video_id, payee_id = read_id(file, row, "video_id", problems), row.cells["payee_id"]
        if payee_id and payee_id not in payees:
            text = f"{shown(payee_id)} is not in the payees file; {problems.allowed(payee_id, payees)}"
            problems.add(file, row.line, "payee_id", text)
        if video_id in first_line:
            text = f"{video_id!r} stands on line {first_line[video_id]} too; allowed: each video once"
            problems.add(file, row.line, "video_id", text)
        elif payee_id:
            shares.add(file, row.line, whole_share(video_id, payee_id))
        first_line.setdefault(video_id, row.line)
        _check_name(file, row, "title", problems, or_empty=True)
        videos[video_id] = Video(video_id, _length_seconds(file, row, problems), row.cells["title"] or None)
    return videos


def _length_seconds(file: NamedFile, row: CsvRow, problems: Problems) -> int | None:
    text = row.cells["length_seconds"]
    if not text:
        return None
    if not re.fullmatch(r"\d{1,8}", text, re.ASCII) or not 1 <= int(text) <= LENGTH_SECONDS_MAX:
        allowed = f"empty, or whole seconds from 1 to {LENGTH_SECONDS_MAX}"
        problems.add(file, row.line, "length_seconds", f"{shown(text)} is not a length; allowed: {allowed}")
        return None
    return int(text)
