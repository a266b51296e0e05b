"""The Merkle tree over each checkpoint's records in PostgreSQL: a record's audit path is read, not recomputed."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from billing.postgres_session import Connect, one_transaction
from billing.proof.checkpoint import Link
from ingestion.contract.merkle import HASH_SIZE, places_beside

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

PART_NODES = 4_096
"""The number of hashes in a row; the migration bounds its bytes."""

_MISSING = """
    SELECT body, signature FROM billing.checkpoints c
    WHERE NOT EXISTS (SELECT 1 FROM billing.checkpoint_nodes n WHERE n.sequence = c.sequence) ORDER BY sequence"""
_KEEP = "INSERT INTO billing.checkpoint_nodes (sequence, level, part, hashes) VALUES (%s, %s, %s, %s)"
_PATH = """
    SELECT encode(substring(n.hashes FROM (w.place %% %(nodes)s * %(size)s + 1)::integer FOR %(size)s), 'hex')
    FROM unnest(%(levels)s::integer[], %(places)s::bigint[]) AS w (level, place)
    JOIN billing.checkpoint_nodes n ON n.sequence = %(sequence)s AND n.level = w.level
                                   AND n.part = w.place / %(nodes)s
    ORDER BY w.level"""


class PostgresTrees:
    """Implements `billing.proof.checkpointing.Trees`; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def missing(self) -> list[Link]:
        """Return the checkpoints that cover records and have no tree, oldest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_MISSING)
            links = [Link(body.encode(), signature) for body, signature in cursor]
        return [link for link in links if link.fields.get("record_count")]

    def keep(self, link: Link, nodes: Iterable[tuple[int, bytes]]) -> None:
        """Store the nodes of a checkpoint's tree, all of them or, after an error, none. Streams."""
        parts: defaultdict[int, int] = defaultdict(int)
        waiting: defaultdict[int, bytearray] = defaultdict(bytearray)
        with one_transaction(self._connect) as cursor:
            for level, node in nodes:
                waiting[level] += node
                if len(waiting[level]) == PART_NODES * HASH_SIZE:
                    cursor.execute(_KEEP, (link.sequence, level, parts[level], bytes(waiting.pop(level))))
                    parts[level] += 1
            for level, hashes in waiting.items():
                cursor.execute(_KEEP, (link.sequence, level, parts[level], bytes(hashes)))


def audit_path(cursor: "Cursor", link: Link, leaf_index: int) -> tuple[str, ...] | None:
    """Return the audit path of a record of a checkpoint, in hex, lowest first; None if the tree is not stored."""
    places = list(places_beside(leaf_index, link.fields["record_count"]))
    levels, at = [level for level, _ in places], [place for _, place in places]
    named = {"sequence": link.sequence, "levels": levels, "places": at, "nodes": PART_NODES, "size": HASH_SIZE}
    cursor.execute(_PATH, named)
    found = tuple(text for (text,) in cursor)
    return found if len(found) == len(places) else None
