"""Write day changes to PostgreSQL by COPY, row by row, so that no version has to fit into memory as text."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from psycopg2.extensions import cursor as Cursor

from batch_layer.versions.day_changes import CellChange, DayChange

_TABLE = """
published.video_day_changes (video_id, event_day, version, views_change, billable_change,
                             quarters, countries, devices, cell_views, cell_billable)"""
_BUFFER_BYTES = 64 * 1024
_TEXT = str.maketrans({"\\": "\\\\", '"': '\\"', "\0": "\ufffd"})
_COPY = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_day_changes(cursor: Cursor, version: int, changes: Iterable[DayChange]) -> None:
    """Write the changes of a version inside the cursor's transaction."""
    lines = (_line(version, each) for each in changes)
    cursor.copy_expert(f"COPY {_TABLE} FROM STDIN", io.BufferedReader(_Lines(lines), _BUFFER_BYTES))


def _line(version: int, change: DayChange) -> str:
    cells = change.cells
    fields = (
        change.video_id,
        change.event_day,
        str(version),
        str(change.views),
        str(change.billable_views),
        _numbers(each.quarter for each in cells),
        _texts(cells, country=True),
        _texts(cells, country=False),
        _numbers(each.views for each in cells),
        _numbers(each.billable_views for each in cells),
    )
    return "\t".join(fields) + "\n"


def _numbers(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _texts(cells: Iterable[CellChange], *, country: bool) -> str:
    """Return an array of texts: quoted for the array, then for COPY. PostgreSQL's text holds no NUL character."""
    quoted = (f'"{(each.country if country else each.device_type).translate(_TEXT)}"' for each in cells)
    return ("{" + ",".join(quoted) + "}").translate(_COPY)


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
