"""Leaves: hashes of records that are kept outside the database, so that the first wrong record can be named. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

Cell = str | int | date | None
LEAF_COLUMNS = ("position", "kind", "key", "sha256")


@dataclass(frozen=True)
class Leaf:
    """A record's place and the hash of its leaf."""

    position: int
    kind: str
    key: str
    leaf_hash: str
    """64 hex digits."""


def leaf_lines(leaves: Iterable[Leaf]) -> Iterator[bytes]:
    """Yield the lines of a file of leaves."""
    yield csv_line(LEAF_COLUMNS)
    for leaf in leaves:
        yield csv_line((leaf.position, leaf.kind, leaf.key, leaf.leaf_hash))


def leaves_in(content: bytes) -> Iterator[Leaf]:
    """Yield the leaves of such a file.

    Raises:
        ValueError: it is not a file of leaves.
    """
    rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    try:
        next(rows, None)
        for position, kind, key, leaf_hash in rows:
            yield Leaf(int(position), kind, key, leaf_hash)
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error


def csv_line(cells: Sequence[Cell]) -> bytes:
    """Return one line of CSV: quoted only if needed, ended by a line feed; None is empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue().encode()
