"""Merkle roots and audit paths as in RFC 6962, section 2.1. Pure.

Leaf hash = SHA-256(0x00 || leaf), node hash = SHA-256(0x01 || left || right), the root of no leaves = SHA-256 of
nothing. The left part of a node is the largest power of two below its number of leaves.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

HASH_SIZE = 32


class MerkleTree:
    """Accepts leaves one after the other; keeps one hash per complete subtree: O(log n) memory."""

    __slots__ = ("_peaks", "leaf_count")

    def __init__(self) -> None:
        self.leaf_count = 0
        self._peaks: list[bytes] = []
        """Roots of the complete subtrees so far, largest first: one for every bit set in `leaf_count`."""

    def add(self, leaf: bytes) -> None:
        """Append one leaf."""
        node = leaf_hash(leaf)
        count = self.leaf_count
        while count & 1:
            node = _node_hash(self._peaks.pop(), node)
            count >>= 1
        self._peaks.append(node)
        self.leaf_count += 1

    def root(self) -> bytes:
        """Return the root of all leaves so far (32 bytes); more leaves may follow."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = _node_hash(peak, root)
        return root


@dataclass(frozen=True)
class InclusionProof:
    """Proves that one leaf is under a root without showing the other leaves."""

    leaf_index: int
    """Counted from 0."""
    leaf_count: int
    path: tuple[bytes, ...]
    """PATH(leaf_index, leaves) of RFC 6962, section 2.1.1: the hashes beside the way up, lowest first."""


class InclusionProver:
    """Accepts leaves one after the other, then proves that one is among them; O(log n) memory.

    Of equal leaves the first is proven.
    """

    def __init__(self, leaf: bytes) -> None:
        self._leaf = leaf
        self._index: int | None = None
        self._count = 0
        self._path: list[bytes] = []
        self._peaks: list[tuple[bytes, bool]] = []
        """(Root of a complete subtree, whether it holds the leaf.)"""

    def add(self, leaf: bytes) -> None:
        """Append one leaf."""
        holds = self._index is None and leaf == self._leaf
        if holds:
            self._index = self._count
        node = (leaf_hash(leaf), holds)
        bits = self._count
        while bits & 1:
            node = _joined(self._peaks.pop(), node, self._path)
            bits >>= 1
        self._peaks.append(node)
        self._count += 1

    def proof(self) -> tuple[InclusionProof, bytes] | None:
        """Return the audit path and the root it leads to; None if the leaf is not among the leaves. Ends the work."""
        if self._index is None:
            return None
        node = self._peaks.pop()
        while self._peaks:
            node = _joined(self._peaks.pop(), node, self._path)
        return InclusionProof(self._index, self._count, tuple(self._path)), node[0]


def proofs_of_all(leaves: Sequence[bytes]) -> tuple[InclusionProof, ...]:
    """Return the proof of every leaf, in their order; holds the whole tree, so for few leaves only."""
    paths: list[list[bytes]] = [[] for _ in leaves]
    level, span = [leaf_hash(leaf) for leaf in leaves], 1
    while len(level) > 1:
        for index, path in enumerate(paths):
            beside = index // span ^ 1
            if beside < len(level):
                path.append(level[beside])
        pairs = [_node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        # the last of an odd number is a root already, and moves up as it is
        level, span = pairs + level[len(pairs) * 2 :], span * 2
    return tuple(InclusionProof(index, len(leaves), tuple(path)) for index, path in enumerate(paths))


def nodes_of(leaf_hashes: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (level, node) of every node of a tree, each level from left to right; the root comes last.

    Level 0 has the leaves. The last node of an odd number moves up as it is, so it is in the level above as well.
    Streams: memory holds one hash for each level.
    """
    waiting: list[bytes | None] = []
    """By level, the node that has no right neighbour yet."""
    for leaf in leaf_hashes:
        level, node = 0, leaf
        yield level, node
        while level < len(waiting) and (left := waiting[level]) is not None:
            waiting[level] = None
            level, node = level + 1, _node_hash(left, node)
            yield level, node
        waiting[level : level + 1] = [node]
    moved: bytes | None = None
    for level, left in enumerate(waiting):
        if moved is not None:
            yield level, moved
            moved = moved if left is None else _node_hash(left, moved)
            if level == len(waiting) - 1:
                yield level + 1, moved
        else:
            moved = left


def places_beside(leaf_index: int, leaf_count: int) -> Iterator[tuple[int, int]]:
    """Yield (level, index in it) of the nodes of `nodes_of` that are a leaf's audit path, lowest first."""
    level = 0
    while leaf_count > 1:
        if (beside := leaf_index ^ 1) < leaf_count:
            yield level, beside
        level, leaf_index, leaf_count = level + 1, leaf_index // 2, (leaf_count + 1) // 2


def is_included(leaf: bytes, proof: InclusionProof, root: bytes) -> bool:
    """Return whether the proof leads from the leaf to the root, at the index and leaf count that it claims."""
    if not 0 <= proof.leaf_index < proof.leaf_count:
        return False
    index, last = proof.leaf_index, proof.leaf_count - 1
    node = leaf_hash(leaf)
    for sibling in proof.path:
        if len(sibling) != HASH_SIZE or last == 0:
            return False
        if index & 1 or index == last:
            node = _node_hash(sibling, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = _node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _joined(left: tuple[bytes, bool], right: tuple[bytes, bool], path: list[bytes]) -> tuple[bytes, bool]:
    """Return the parent of two subtrees; note the sibling on the leaf's path."""
    if left[1]:
        path.append(right[0])
    elif right[1]:
        path.append(left[0])
    return _node_hash(left[0], right[0]), left[1] or right[1]
