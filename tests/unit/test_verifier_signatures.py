"""The stand-alone verifier: its Ed25519 against RFC 8032 and another implementation, and that it stands alone."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.verifier import VERIFIER, verifier

# RFC 8032, section 7.1: (secret key, public key, message, signature)
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
        "2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17a"
        "d9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_hold(secret: str, public: str, message: str, signature: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    made = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert (made.hex(), key.sign(bytes.fromhex(message)).hex()) == (public, signature)
    assert verifier.is_signed(made, bytes.fromhex(message), bytes.fromhex(signature))


def test_signatures_of_another_implementation_hold_and_every_changed_one_does_not() -> None:
    seed = 8032
    chance = random.Random(seed)
    for _ in range(20):
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        message = chance.randbytes(chance.randrange(200))
        signature = key.sign(message)
        assert verifier.is_signed(public, message, signature)
        for changed in (signature, public):
            at, bit = chance.randrange(len(changed)), 1 << chance.randrange(8)
            other = changed[:at] + bytes([changed[at] ^ bit]) + changed[at + 1 :]
            parts = (public, other) if changed is signature else (other, signature)
            assert not verifier.is_signed(parts[0], message, parts[1])
        assert not verifier.is_signed(public, message + b"\0", signature)


def test_a_signature_whose_scalar_is_not_reduced_is_refused() -> None:
    """Otherwise the holder of one signature could make another one (RFC 8032, section 5.1.7: S < L)."""
    _, public, message, signature = (bytes.fromhex(each) for each in VECTORS[2])
    scalar = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    assert not verifier.is_signed(public, message, signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("lengths", [(31, 64), (32, 63), (0, 0)])
def test_keys_and_signatures_of_another_length_are_refused(lengths: tuple[int, int]) -> None:
    assert not verifier.is_signed(bytes(lengths[0]), b"", bytes(lengths[1]))


def test_the_verifier_imports_the_standard_library_only() -> None:
    tree = ast.parse(VERIFIER.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported, "a reader that sees no import sees nothing"
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_the_verifier_runs_from_anywhere_without_the_project(tmp_path: Path) -> None:
    done = subprocess.run(
        [VERIFIER.with_name("viewledger-verify"), "no-bundle", "--pubkey", "ab" * 32],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-bundle is not a bundle" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "xy", "ab" * 31, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_not_a_public_key_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(text)
    with pytest.raises(verifier.UnusableError):
        verifier.read_public_key(str(file))
