"""Keyed pseudonyms that replace a viewer's and a session's id before anything is stored. Pure.

HMAC-SHA256 (RFC 2104) cut to 128 bits: without the key, the pseudonym of a known id cannot be found by trying, and two
of a billion viewers share one with probability below 2^-68. The same key always gives the same pseudonym, so keep the
key for as long as the events.
"""

import re

from ingestion.contract.keyed_hash import keyed_hash

PSEUDONYM_PREFIX = "viewer_"
SESSION_PREFIX = "session_"
KEY_BYTES_MIN = 32
_HEX_DIGITS = 32


def pseudonym_of(user_id: str, key: bytes) -> str:
    """Return the pseudonym of a user id: the prefix and 32 hex digits. Texts are compared code point by code point."""
    return PSEUDONYM_PREFIX + keyed_hash(key, user_id.encode("utf-8", "surrogatepass")).hex()[:_HEX_DIGITS]


def session_pseudonym_of(session_id: str, key: bytes) -> str:
    """Return the pseudonym of a session, which always differs from that of a viewer with an equal id."""
    message = b"session\x00" + session_id.encode("utf-8", "surrogatepass")
    return SESSION_PREFIX + keyed_hash(key, message).hex()[:_HEX_DIGITS]


def pseudonym_key(text: str) -> bytes:
    """Parse a key of at least 32 bytes from hexadecimal digits.

    Raises:
        ValueError: the sentence does not repeat the key.
    """
    if not re.fullmatch(r"[0-9a-fA-F]*", text, re.ASCII) or len(text) % 2:
        raise ValueError("the pseudonym key must be written as an even number of hexadecimal digits")
    key = bytes.fromhex(text)
    if len(key) < KEY_BYTES_MIN:
        raise ValueError(f"the pseudonym key has {len(key)} bytes; at least {KEY_BYTES_MIN} are needed (64 hex digits)")
    return key
