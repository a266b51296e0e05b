"""Keyed hashes are those of RFC 2104."""

import hmac
import random

from ingestion.contract.keyed_hash import keyed_hash


def test_it_is_hmac_sha256_for_keys_and_messages_of_every_length() -> None:
    rng = random.Random(1)
    lengths = (0, 1, 31, 32, 55, 56, 63, 64, 65, 119, 120, 2_047, 2_048, 65_536)
    for key_length in lengths:
        key = rng.randbytes(key_length)
        for length in lengths:
            message = rng.randbytes(length)
            assert keyed_hash(key, message) == hmac.digest(key, message, "sha256"), (key_length, length)


def test_what_was_hashed_before_has_no_influence() -> None:
    first = keyed_hash(b"k" * 32, b"a message")
    keyed_hash(b"k" * 32, b"another one")
    assert keyed_hash(b"k" * 32, b"a message") == first
