"""The journal's records: everything that is recorded permanently, each in one canonical form. Pure.

A record is one row of a table with the rows that belong to it. Columns that are null are left out, so that a column
that is added later changes no older record.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from billing.proof.canonical import canonical_json
from billing.proof.checkpoint import Link
from ingestion.contract.merkle import MerkleTree, leaf_hash

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """One record of the journal."""

    position: int
    kind: str
    """`version`, `catalogue`, `contract`, `run`, `transaction`, …"""
    key: str
    recorded_at: datetime
    content: bytes
    """Canonical JSON: the leaf under a checkpoint's root."""
    is_missing: bool = False
    """The journal names a row that does not exist: it was removed."""

    @property
    def leaf_hash(self) -> str:
        """Return the leaf's hash as in RFC 6962, in hex."""
        return leaf_hash(self.content).hex()


def record_of(
    position: int, kind: str, key: str, *, recorded_at: datetime, row: Row | None, children: Mapping[str, Sequence[Row]]
) -> Record:
    """Return the record of a row and the rows that belong to it."""
    value = {
        "position": position,
        "kind": kind,
        "key": key,
        "recorded_at": recorded_at.isoformat(),
        "row": None if row is None else _without_nulls(row),
        **{name: [_without_nulls(each) for each in rows] for name, rows in children.items()},
    }
    return Record(position, kind, key, recorded_at, canonical_json(value), row is None)


def root_of(records: Iterable[Record]) -> tuple[int, str]:
    """Return how many records there are and their Merkle root in hex."""
    tree = MerkleTree()
    for record in records:
        tree.add(record.content)
    return tree.leaf_count, tree.root().hex()


class Journal(Protocol):
    """Reads everything the books hold, in the order of recording, and the chain of checkpoints."""

    def close(self) -> tuple[int, datetime]:
        """Return (position_end, instant): every later record has at least this position and is recorded later.

        Waits until the current writers have finished.
        """

    def records(self, position_start: int, position_end: int) -> Iterable[Record]:
        """Yield the records of [position_start, position_end) in order of their positions. Streams."""

    def unnoted(self) -> list[str]:
        """Return the rows that are not in the journal, as `kind key`: written past the database's own rules."""

    def chain(self) -> Sequence[Link]:
        """Return all links, from the first on."""

    def append(self, link: Link) -> None:
        """Store a link at the end of the chain; an identical existing link changes nothing.

        Raises:
            CheckpointRefusedError: another link was stored in its place meanwhile.
        """


def _without_nulls(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
