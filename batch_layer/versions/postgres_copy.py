"""Write rows to PostgreSQL by COPY, row by row, so that they need not fit into memory."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from psycopg2.extensions import cursor as Cursor

_BUFFER_BYTES = 64 * 1024
_ELEMENT = str.maketrans({"\\": "\\\\", '"': '\\"', "\0": "\ufffd"})
_FIELD = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_rows(cursor: Cursor, target: str, rows: Iterable[tuple[object, ...]]) -> int:
    """Write rows into `target`, a table with its columns, inside the cursor's transaction; return how many."""
    lines = ("\t".join(str(value).translate(_FIELD) for value in row) + "\n" for row in rows)
    cursor.copy_expert(f"COPY {target} FROM STDIN", io.BufferedReader(_Lines(lines), _BUFFER_BYTES))
    return int(cursor.rowcount)


def array_of_numbers(values: Iterable[int]) -> str:
    """Return a PostgreSQL array."""
    return "{" + ",".join(map(str, values)) + "}"


def array_of_texts(values: Iterable[str]) -> str:
    """Return a PostgreSQL array of quoted texts; U+FFFD stands for NUL, which PostgreSQL's text cannot hold."""
    return "{" + ",".join(f'"{value.translate(_ELEMENT)}"' for value in values) + "}"


class _Lines(io.RawIOBase):
    """A readable file of lines that are made on demand."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        text = self._rest or next(self._lines, "").encode()
        count = min(len(text), len(buffer))
        buffer[:count], self._rest = text[:count], text[count:]
        return count
