"""Format answers of SQL as a table for people, as CSV, or as JSON."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from ingestion.contract.printable import escaped
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

CELL_CHARACTERS_MAX = 120
"""A longer value is cut in the table for people; CSV and JSON have it in full."""


def as_table(answer: pa.Table) -> str:
    """Return aligned columns, numbers to the right, NULL for an unknown value."""
    names = answer.column_names
    if not names:
        return "done"
    rows = [[_cell(value) for value in row] for row in _rows(answer)]
    widths = [max([len(name), *(len(row[index]) for row in rows)]) for index, name in enumerate(names)]
    is_number = [pa.types.is_integer(each) or pa.types.is_floating(each) or pa.types.is_decimal(each)
                 for each in answer.schema.types]  # fmt: skip

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number, strict=True)
        ).rstrip()

    return "\n".join([line(names), "  ".join("-" * width for width in widths), *map(line, rows)])


def as_csv(answer: pa.Table) -> str:
    """Return CSV by RFC 4180 with a header line; NULL is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if answer.column_names:
        writer.writerow(answer.column_names)
    writer.writerows(["" if value is None else _text(value) for value in row] for row in _rows(answer))
    return text.getvalue().removesuffix("\r\n")


def as_json(answer: pa.Table) -> str:
    """Return an array with one object for each row; numbers stay exact. Refuse two columns of one name."""
    twice = [name for name, count in Counter(answer.column_names).items() if count > 1]
    if twice:
        raise CommandError(
            f"two columns are called {twice[0]!r}, which JSON cannot hold; rename one with AS",
            ExitCode.BAD_INPUT,
        )
    objects = [dict(zip(answer.column_names, map(_plain, row), strict=True)) for row in _rows(answer)]
    return "[" + ",\n ".join(json.dumps(each, ensure_ascii=False) for each in objects) + "]"


FORMATS: dict[str, Callable[[pa.Table], str]] = {"table": as_table, "csv": as_csv, "json": as_json}


def _rows(answer: pa.Table) -> list[tuple[Any, ...]]:
    if not answer.num_columns:
        return []
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    text = escaped(_text(value)).replace("\n", "\\n")
    return text if len(text) <= CELL_CHARACTERS_MAX else text[: CELL_CHARACTERS_MAX - 1] + "…"


def _text(value: object) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: object) -> Any:
    """Return a value for JSON: instants in ISO 8601 with their zone, bytes as hexadecimal digits, decimals as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return str(value)
    return value
