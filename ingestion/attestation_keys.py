"""The keys by which messages of the log are attested: a JWK Set of secrets. Pure."""

from binascii import a2b_base64
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from ingestion.contract.attestation import KEY_ID_PATTERN

KEY_BYTES_MIN = 32
KEYS_MAX = 64


class AttestationKeysError(ValueError):
    """The set of keys cannot be used; the message names the key, never its secret."""


class _SentKey(msgspec.Struct, frozen=True):
    kid: Annotated[str, Meta(pattern=rf"^{KEY_ID_PATTERN}\Z")]
    kty: str
    k: str = ""


class _KeySet(msgspec.Struct, frozen=True):
    keys: Annotated[list[_SentKey], Meta(min_length=1, max_length=KEYS_MAX)]


def attestation_keys(text: str | bytes) -> Mapping[str, bytes]:
    """Parse a JWK Set (RFC 7517) whose keys are `oct` with a `kid`; return them by id, in order. The first one attests.

    Raises:
        AttestationKeysError: one sentence.
    """
    try:
        sent = msgspec.json.decode(text, type=_KeySet).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttestationKeysError(f"the file is not a JWK Set of 1 to {KEYS_MAX} keys: {error}") from None
    found = {each.kid: _secret(each) for each in sent}
    if len(found) < len(sent):
        raise AttestationKeysError("two keys have the same kid; each key needs one of its own")
    return found


def _secret(sent: _SentKey) -> bytes:
    if sent.kty != "oct":
        raise AttestationKeysError(f"the key {sent.kid} is of the kind {sent.kty[:16]!r}; it must be oct")
    try:
        text = sent.k.encode("ascii").translate(bytes.maketrans(b"-_", b"+/"))
        secret = a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise AttestationKeysError(f"the key {sent.kid} cannot be read; write its secret in base64url") from None
    if len(secret) < KEY_BYTES_MIN:
        raise AttestationKeysError(f"the key {sent.kid} has {len(secret)} bytes; at least {KEY_BYTES_MIN} are needed")
    return secret
