"""Read CSV files row by row; every problem is named with file, line, column and what is allowed."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from billing.file_regular import open_regular
from billing.terms.nearest import nearest_sentence
from ingestion.contract.decoding import is_video_id
from ingestion.contract.requests import FileRefusedError

SPREADSHEET_ERROR = re.compile(r"#(NAME|REF|VALUE|DIV/0|NULL|NUM|N/A|SPILL|CALC|ERROR)[!?]?", re.IGNORECASE)
_SPREADSHEET_NUMBER = re.compile(r"[+-]?\d([.,]\d+)?E\+\d+", re.IGNORECASE)
COLUMNS_MAX = 100
_ID_ALLOWED = "1 to 64 of A-Z a-z 0-9 _ -"
BYTES_MAX = 512 * 1024 * 1024
"""The most bytes of one file: a larger file is not a catalogue, and would fill the memory."""
NEAREST_LOOKED_FOR = 20
"""The number of problems for which the nearest known name is looked up: each takes a while."""
_OTHER_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}


class NamedFile(Protocol):
    """A file to read, such as a Path; messages use its `str`."""

    def read_bytes(self) -> bytes:
        """Return the whole content; raise OSError."""


@dataclass(frozen=True)
class SentFile:
    """An uploaded file; it is not on a disk."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self.content


@dataclass
class Problems:
    """The problems in the files, in order of reading."""

    found: list[str] = field(default_factory=list)

    def add(self, file: NamedFile, line: int, column: str, text: str) -> None:
        """Note one problem at its place."""
        self.found.append(f"{file}, line {line}, column {column}: {text}")

    def allowed(self, name: str, known: Iterable[str]) -> str:
        """Return the hint that follows an unknown name in a message; among many problems it stays short."""
        return nearest_sentence(name, known if len(self.found) < NEAREST_LOOKED_FOR else ())


@dataclass(frozen=True)
class CsvRow:
    """One row of a CSV file by column name, and the line it begins on."""

    line: int
    cells: dict[str, str]


def read_text(file: NamedFile, bytes_max: int = BYTES_MAX) -> str:
    """Return a text file's content, without a byte order mark.

    Raises:
        FileRefusedError: it cannot be read, is not a regular file, is too large, or is not text in UTF-8.
    """
    content = read_content(file, bytes_max) if isinstance(file, Path) else file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileRefusedError([f"{file}, line {line}: not UTF-8; save the file as UTF-8"]) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileRefusedError([f"{file}, line {line}: holds a zero byte, so it is not text; save the file as UTF-8"])
    return text


def read_content(file: Path, bytes_max: int = BYTES_MAX) -> bytes:
    """Return a file's bytes.

    Raises:
        FileRefusedError: it cannot be read, is not a regular file, or is too large.
    """
    try:
        with open_regular(file) as opened:
            content = opened.read(bytes_max + 1)
    except OSError as error:
        raise FileRefusedError([f"{file}: cannot be read ({error.strerror})"]) from error
    if len(content) > bytes_max:
        raise FileRefusedError([f"{file}: has more than {bytes_max} bytes; a larger file is not accepted"])
    return content


def rows_of(file: NamedFile, columns: Sequence[str], optional: Collection[str], problems: Problems) -> Iterator[CsvRow]:
    """Yield the well-formed rows; a file that cannot be read at all is one problem.

    Rows in which every field is empty are skipped: spreadsheets write them after the end of a table.
    """
    try:
        reader = csv.reader(io.StringIO(read_text(file), newline=""), strict=True)
        header = next(reader, [])
        if not _check_header(file, header, columns, optional, problems):
            return
        line = reader.line_num + 1
        for cells in reader:
            if not any(map(str.strip, cells)):
                pass
            elif len(cells) != len(header):
                text = f"the row has {len(cells)} fields and the header {len(header)}"
                problems.add(file, line, str(min(len(cells), len(header)) + 1), text)
            else:
                yield CsvRow(line, dict.fromkeys(columns, "") | dict(zip(header, cells, strict=True)))
            line = reader.line_num + 1
    except FileRefusedError as error:
        problems.found += error.problems
    except csv.Error as error:
        problems.found.append(f"{file}, line {reader.line_num}: not readable as CSV: {error}")


def read_id(file: NamedFile, row: CsvRow, column: str, problems: Problems) -> str:
    """Return a cell that holds an id; note what is wrong with it."""
    text = row.cells[column]
    if SPREADSHEET_ERROR.fullmatch(text.strip()) or _SPREADSHEET_NUMBER.fullmatch(text.strip()):
        reason = "is a spreadsheet's error in place of an id; format the column as text and export again"
        problems.add(file, row.line, column, f"{shown(text)} {reason}; allowed: {_ID_ALLOWED}")
    elif not is_video_id(text):
        problems.add(file, row.line, column, f"{shown(text)} is not an id; allowed: {_ID_ALLOWED}")
    return text


def shown(text: str) -> str:
    """Return a cell as a message shows it."""
    return repr(text if len(text) <= 64 else text[:61] + "...")


def _check_header(
    file: NamedFile, header: Sequence[str], columns: Sequence[str], optional: Collection[str], problems: Problems
) -> bool:
    before, seen = len(problems.found), set[str]()
    if len(header) > COLUMNS_MAX:
        problems.add(file, 1, "1", f"the header has {len(header)} columns; allowed: {', '.join(columns)}")
        return False
    if len(header) == 1 and (other := next((each for each in _OTHER_SEPARATORS if each in header[0]), None)):
        text = f"the columns are separated by {_OTHER_SEPARATORS[other]}; allowed: commas; export it as CSV again"
        problems.add(file, 1, "1", text)
        return False
    for index, name in enumerate(header, 1):
        if name not in columns:
            problems.add(file, 1, str(index), f"{shown(name)} is not a column; allowed: {', '.join(columns)}")
        elif name in seen:
            problems.add(file, 1, str(index), f"{name!r} appears twice in the header")
        seen.add(name)
    for name in columns:
        if name not in header and name not in optional:
            problems.add(file, 1, name, "the column is missing from the header")
    return len(problems.found) == before
