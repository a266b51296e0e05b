"""Evidence: the Merkle root over the ids of the events that a line pays for, as in RFC 6962, section 2.1.

Leaf hash = SHA-256(0x00 || leaf), node hash = SHA-256(0x01 || left || right), the root of no leaves = SHA-256 of
nothing. The left part of a node is the largest power of two below its number of leaves. A leaf is the event id's
canonical text (lower case, hyphens) in ASCII; leaves stand in ascending order.
"""

import hashlib


class MerkleTree:
    """Takes leaves one after the other; remembers one hash per complete subtree: O(log n) memory."""

    __slots__ = ("_peaks", "leaf_count")

    def __init__(self) -> None:
        self.leaf_count = 0
        self._peaks: list[bytes] = []
        """Roots of the complete subtrees so far, largest first: one for every bit set in `leaf_count`."""

    def add(self, leaf: bytes) -> None:
        """Append one leaf."""
        node = hashlib.sha256(b"\x00" + leaf).digest()
        count = self.leaf_count
        while count & 1:
            node = hashlib.sha256(b"\x01" + self._peaks.pop() + node).digest()
            count >>= 1
        self._peaks.append(node)
        self.leaf_count += 1

    def root(self) -> bytes:
        """Return the root of all leaves so far (32 bytes); more leaves may follow."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root
