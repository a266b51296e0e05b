"""Reads payees.csv and videos.csv: all or nothing, every error named with file, line, column and what is allowed."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from billing.catalogue import Catalogue, Payee, Video
from billing.errors import FileRefusedError
from ingestion.contract.decoding import is_video_id

PAYEE_COLUMNS = ("payee_id", "name", "user_id")
VIDEO_COLUMNS = ("video_id", "payee_id", "length_seconds")
OPTIONAL_COLUMNS = frozenset({"user_id", "length_seconds"})
LENGTH_SECONDS_MAX = 10_000_000

_SPREADSHEET_ERROR = re.compile(r"#(NAME|REF|VALUE|DIV/0|NULL|NUM|N/A|SPILL|CALC|ERROR)[!?]?", re.IGNORECASE)
_SPREADSHEET_NUMBER = re.compile(r"[+-]?\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_ID_ALLOWED = "1 to 64 of A-Z a-z 0-9 _ -"


@dataclass
class Problems:
    """What is wrong in the files, in order of reading."""

    found: list[str] = field(default_factory=list)

    def add(self, file: Path, line: int, column: str, text: str) -> None:
        """Note one problem at its place."""
        self.found.append(f"{file}, line {line}, column {column}: {text}")


@dataclass(frozen=True)
class Row:
    """One row of a CSV file by column name, and the line it begins on."""

    line: int
    cells: dict[str, str]


def read_catalogue(payees_file: Path, videos_file: Path, pseudonymise: Callable[[str], str]) -> Catalogue:
    """Return the catalogue of two files; viewer ids are replaced by their pseudonyms as they are read.

    Raises:
        FileRefusedError: with every problem of both files.
    """
    problems = Problems()
    payees = _read_payees(payees_file, pseudonymise, problems)
    videos = _read_videos(videos_file, payees, problems)
    if problems.found:
        raise FileRefusedError(problems.found)
    return Catalogue(
        tuple(sorted(payees.values(), key=lambda payee: payee.payee_id)),
        tuple(sorted(videos, key=lambda video: video.video_id)),
    )


def read_text(file: Path) -> str:
    """Return a text file's content, without a byte order mark.

    Raises:
        FileRefusedError: it cannot be read, or is not UTF-8.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FileRefusedError([f"{file}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileRefusedError([f"{file}, line {line}: not UTF-8; save the file as UTF-8"]) from error


def _read_payees(file: Path, pseudonymise: Callable[[str], str], problems: Problems) -> dict[str, Payee]:
    payees: dict[str, Payee] = {}
    first_line: dict[str, int] = {}
    for row in _rows(file, PAYEE_COLUMNS, problems):
        before = len(problems.found)
        payee_id = _id(file, row, "payee_id", problems)
        name, user_id = row.cells["name"], row.cells["user_id"]
        if not name.strip() or len(name) > 200 or not name.isprintable():
            problems.add(
                file, row.line, "name", f"{_shown(name)} is not a name; allowed: 1 to 200 printable characters"
            )
        elif _SPREADSHEET_ERROR.fullmatch(name.strip()):
            problems.add(file, row.line, "name", f"{_shown(name)} is an error that a spreadsheet left behind")
        if len(user_id) > 128 or not user_id.isprintable() or _SPREADSHEET_ERROR.fullmatch(user_id.strip()):
            text = "not a viewer id (not shown: it may identify a person); allowed: empty, or 1 to 128 characters"
            problems.add(file, row.line, "user_id", text)
        if payee_id in first_line:
            text = f"{payee_id!r} stands on line {first_line[payee_id]} too; allowed: each payee once"
            problems.add(file, row.line, "payee_id", text)
        first_line.setdefault(payee_id, row.line)
        # Kept even when another column is wrong, so that its videos do not all become errors as well.
        sound = len(problems.found) == before
        payees[payee_id] = Payee(payee_id, name, pseudonymise(user_id) if user_id and sound else None)
    return payees


def _read_videos(file: Path, payees: dict[str, Payee], problems: Problems) -> list[Video]:
    videos: list[Video] = []
    first_line: dict[str, int] = {}
    for row in _rows(file, VIDEO_COLUMNS, problems):
        video_id, payee_id = _id(file, row, "video_id", problems), row.cells["payee_id"]
        if payee_id not in payees:
            text = f"{_shown(payee_id)} is not in the payees file; allowed: one of its {len(payees)} payee ids"
            problems.add(file, row.line, "payee_id", text)
        if video_id in first_line:
            text = f"{video_id!r} stands on line {first_line[video_id]} too; allowed: each video once"
            problems.add(file, row.line, "video_id", text)
        first_line.setdefault(video_id, row.line)
        videos.append(Video(video_id, payee_id, _length_seconds(file, row, problems)))
    return videos


def _length_seconds(file: Path, row: Row, problems: Problems) -> int | None:
    text = row.cells["length_seconds"]
    if not text:
        return None
    if not re.fullmatch(r"\d{1,8}", text, re.ASCII) or not 1 <= int(text) <= LENGTH_SECONDS_MAX:
        allowed = f"empty, or whole seconds from 1 to {LENGTH_SECONDS_MAX}"
        problems.add(file, row.line, "length_seconds", f"{_shown(text)} is not a length; allowed: {allowed}")
        return None
    return int(text)


def _id(file: Path, row: Row, column: str, problems: Problems) -> str:
    text = row.cells[column]
    if _SPREADSHEET_ERROR.fullmatch(text.strip()) or _SPREADSHEET_NUMBER.fullmatch(text.strip()):
        reason = "is what a spreadsheet left behind in place of an id; format the column as text and export again"
        problems.add(file, row.line, column, f"{_shown(text)} {reason}; allowed: {_ID_ALLOWED}")
    elif not is_video_id(text):
        problems.add(file, row.line, column, f"{_shown(text)} is not an id; allowed: {_ID_ALLOWED}")
    return text


def _rows(file: Path, columns: Sequence[str], problems: Problems) -> Iterator[Row]:
    """Yield the well-formed rows; a file that cannot be read at all is one problem."""
    try:
        reader = csv.reader(io.StringIO(read_text(file), newline=""), strict=True)
        header = next(reader, [])
        if not _check_header(file, header, columns, problems):
            return
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                text = f"the row has {len(cells)} fields and the header {len(header)}"
                problems.add(file, line, str(min(len(cells), len(header)) + 1), text)
            elif cells:
                yield Row(line, dict.fromkeys(columns, "") | dict(zip(header, cells, strict=True)))
            line = reader.line_num + 1
    except FileRefusedError as error:
        problems.found += error.problems
    except csv.Error as error:
        problems.found.append(f"{file}, line {reader.line_num}: not readable as CSV: {error}")


def _check_header(file: Path, header: Sequence[str], columns: Sequence[str], problems: Problems) -> bool:
    before = len(problems.found)
    for index, name in enumerate(header, 1):
        if name not in columns:
            problems.add(file, 1, str(index), f"{_shown(name)} is not a column; allowed: {', '.join(columns)}")
        elif name in header[: index - 1]:
            problems.add(file, 1, str(index), f"{name!r} stands twice in the header")
    for name in columns:
        if name not in header and name not in OPTIONAL_COLUMNS:
            problems.add(file, 1, name, "the column is missing from the header")
    return len(problems.found) == before


def _shown(text: str) -> str:
    return repr(text if len(text) <= 64 else text[:61] + "...")
