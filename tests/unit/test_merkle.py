"""The Merkle root of RFC 6962 against the vectors that Certificate Transparency logs are tested with."""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ingestion.contract.merkle import (
    InclusionProof,
    InclusionProver,
    MerkleTree,
    is_included,
    leaf_hash,
    nodes_of,
    places_beside,
    proofs_of_all,
)

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


def proven(leaves: Iterable[bytes], leaf: bytes) -> tuple[InclusionProof, bytes] | None:
    prover = InclusionProver(leaf)
    for each in leaves:
        prover.add(each)
    return prover.proof()


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


# PATH(m, D[n]) of the eight leaves above, as Certificate Transparency's own tests have them: (index, count, path)
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1, word by word."""
    if len(leaves) == 1:
        return []
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    if index < left:
        return [*path_by_definition(index, leaves[:left]), root_by_definition(leaves[left:])]
    return [*path_by_definition(index - left, leaves[left:]), root_by_definition(leaves[:left])]


@pytest.mark.parametrize(("index", "count", "path"), PATHS)
def test_an_audit_path_equals_the_published_vector(index: int, count: int, path: list[str]) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in LEAVES[:count]]
    found = proven(leaves, leaves[index])
    assert found is not None
    proof, root = found
    assert ([each.hex() for each in proof.path], root.hex()) == (path, ROOTS[count])
    assert is_included(leaves[index], proof, root)


def test_every_leaf_of_every_tree_is_proven_by_the_path_of_the_definition() -> None:
    for count in range(1, 40):
        leaves = [index.to_bytes(2) for index in range(count)]
        for index, leaf in enumerate(leaves):
            found = proven(iter(leaves), leaf)
            assert found is not None
            proof, root = found
            assert proof == InclusionProof(index, count, tuple(path_by_definition(index, leaves)))
            assert root == root_by_definition(leaves)
            assert is_included(leaf, proof, root)


def test_the_proofs_of_all_leaves_are_those_of_each_leaf() -> None:
    assert proofs_of_all([]) == ()
    for count in range(1, 70):
        leaves = [index.to_bytes(2) for index in range(count)]
        assert [(each, root_by_definition(leaves)) for each in proofs_of_all(leaves)] == [
            proven(leaves, leaf) for leaf in leaves
        ]


def test_a_leaf_that_is_not_there_has_no_proof() -> None:
    assert proven([b"a", b"b"], b"c") is None
    assert proven([], b"c") is None


def test_a_proof_that_was_changed_in_any_way_proves_nothing() -> None:
    leaves = [bytes([index]) for index in range(13)]
    for index, leaf in enumerate(leaves):
        found = proven(leaves, leaf)
        assert found is not None
        proof, root = found
        changed = [
            replace(proof, leaf_index=(index + 1) % 13),
            replace(proof, leaf_index=-1),
            replace(proof, leaf_index=13),
            replace(proof, path=proof.path[:-1]),
            replace(proof, path=(*proof.path, root)),
            replace(proof, path=proof.path[::-1]),
            *(
                replace(proof, path=(*proof.path[:at], b"\0" * 32, *proof.path[at + 1 :]))
                for at in range(len(proof.path))
            ),
            replace(proof, path=(proof.path[0] + b"\0", *proof.path[1:])),
        ]
        for other in changed:
            assert other == proof or not is_included(leaf, other, root), other
        assert not is_included(b"another", proof, root)
        assert not is_included(leaf, proof, b"\0" * 32)


@pytest.mark.parametrize("count", [*range(1, 34), 63, 64, 65, 100])
def test_the_stored_nodes_of_a_tree_hold_its_root_and_the_path_of_every_leaf(count: int) -> None:
    leaves = [index.to_bytes(2, "big") for index in range(count)]
    levels: dict[int, list[bytes]] = {}
    for level, node in nodes_of(map(leaf_hash, leaves)):
        levels.setdefault(level, []).append(node)
    tree = MerkleTree()
    for each in leaves:
        tree.add(each)
    assert node == tree.root()
    for index, proof in enumerate(proofs_of_all(leaves)):
        assert tuple(levels[level][place] for level, place in places_beside(index, count)) == proof.path


def test_a_tree_without_leaves_has_no_nodes() -> None:
    assert list(nodes_of([])) == []
    assert list(places_beside(0, 1)) == []
