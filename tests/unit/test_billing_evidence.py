"""The Merkle root of RFC 6962 against the vectors that Certificate Transparency logs are tested with."""

import hashlib
import random

import pytest

from billing.evidence import MerkleTree

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    nodes = root_by_definition(leaves[:left]) + root_by_definition(leaves[left:])
    return hashlib.sha256(b"\x01" + nodes).digest()


@pytest.mark.parametrize("count", range(9))
def test_the_root_equals_the_published_vector(count: int) -> None:
    tree = MerkleTree()
    for leaf in LEAVES[:count]:
        tree.add(bytes.fromhex(leaf))
    assert tree.root().hex() == ROOTS[count]


def test_the_root_equals_the_definition_after_every_leaf() -> None:
    seed = 20261101
    chance = random.Random(seed)
    leaves = [chance.randbytes(chance.randrange(40)) for _ in range(130)]
    tree = MerkleTree()
    for count, leaf in enumerate(leaves, 1):
        tree.add(leaf)
        assert tree.root() == root_by_definition(leaves[:count]), f"seed {seed}, {count} leaves"


def test_memory_is_one_hash_per_doubling() -> None:
    tree = MerkleTree()
    for index in range(2**14 - 1):
        tree.add(index.to_bytes(4))
    assert len(tree._peaks) == 14
