"""What all readers of a JWK Set (RFC 7517) share: its error, its bounds, and numbers as it spells them. Pure."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from ingestion.contract.attestation import KEY_ID_PATTERN

KEY_BYTES_MIN = 32
"""Bytes of a secret that signs or attests."""
KEYS_MAX = 64
_ALPHABET = bytes.maketrans(b"-_", b"+/")
_ALPHABET_OF_URLS = bytes.maketrans(b"+/", b"-_")


class KeySetError(ValueError):
    """The set of keys cannot be used; the message names the key, never its secret."""


class SentKey(msgspec.Struct, frozen=True):
    """What a set says of each key; readers add what their kinds of keys have."""

    kid: Annotated[str, Meta(pattern=rf"^{KEY_ID_PATTERN}\Z")]
    kty: str


Sent = TypeVar("Sent", bound=SentKey)


class _KeySet(msgspec.Struct, Generic[Sent], frozen=True):
    keys: list[Sent]


def sent_keys(text: str | bytes, kind: type[Sent]) -> Sequence[Sent]:
    """Parse a JWK Set of 1 to `KEYS_MAX` keys, each with a `kid` of its own.

    Raises:
        KeySetError: one sentence.
    """
    wrong = f"the file is not a JWK Set of 1 to {KEYS_MAX} keys"
    try:
        found: _KeySet[Sent] = msgspec.json.decode(text, type=_KeySet[kind])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeySetError(f"{wrong}: {error}") from None
    if not 1 <= len(found.keys) <= KEYS_MAX:
        raise KeySetError(f"{wrong}: it has {len(found.keys)} keys")
    refuse_repeated([each.kid for each in found.keys])
    return found.keys


def from_base64url(text: bytes) -> bytes:
    """Return the bytes of base64url without padding; raise ValueError for another character."""
    return a2b_base64(text.translate(_ALPHABET) + b"=" * (-len(text) % 4), strict_mode=True)


def to_base64url(content: bytes) -> bytes:
    """Return bytes in base64url without padding."""
    return b2a_base64(content, newline=False).rstrip(b"=").translate(_ALPHABET_OF_URLS)


def refuse_repeated(ids: Collection[str]) -> None:
    """Raise KeySetError if two keys have the same id."""
    if len(set(ids)) < len(ids):
        raise KeySetError("two keys have the same kid; each key needs one of its own")


def refuse_short(key_id: str, secret: bytes) -> None:
    """Raise KeySetError if a secret is shorter than `KEY_BYTES_MIN`."""
    if len(secret) < KEY_BYTES_MIN:
        raise KeySetError(f"the key {key_id} has {len(secret)} bytes; at least {KEY_BYTES_MIN} are needed")
