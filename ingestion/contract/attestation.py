"""Who vouches for a message of the log: the last two members of an event, and the keyed hash that checks them.

A message that is attested ends with `,"attested_by":"KEY","attestation":"32 hex digits"}`. The digits are the first
half of HMAC-SHA256 (RFC 2104) over all bytes before `,"attestation"`. So two different messages never have the same
bytes under the hash, nothing is written in another form to be checked, and any program can make one. Fields of the
contract these two are not: reading an event looks at neither.
"""

import hmac
import re
from collections.abc import Mapping
from enum import StrEnum

from ingestion.contract.keyed_hash import keyed_hash

ATTESTED_BY, ATTESTATION = "attested_by", "attestation"
FIELDS = (ATTESTED_BY, ATTESTATION)
"""The members that only who attests may write."""
KEY_ID_PATTERN = "[A-Za-z0-9._-]{1,64}"
_MARK = b',"attestation":"'
_DIGITS = 32
_LENGTH = len(_MARK) + _DIGITS + len(b'"}')
_LONGEST = len(b',"attested_by":""') + 64 + _LENGTH
BYTES_MAX = _LONGEST
"""What attesting adds to a message, at most."""
_tail = re.compile(
    rb',"attested_by":"(' + KEY_ID_PATTERN.encode() + rb')"' + _MARK + b"([0-9a-f]{%d})" % _DIGITS + rb'"}\Z'
)


class Attested(StrEnum):
    """Whether somebody vouches for a message."""

    NO = "no"
    """It does not say so."""
    YES = "yes"
    """It says so, and the hash is that of a known key."""
    FALSE = "false"
    """It says so, and the key is unknown or the hash is wrong. It counts as if it did not say so."""


def attested(value: bytes, key_id: str, key: bytes) -> bytes:
    """Return a message with the attestation of a key; `value` is a JSON object with members, none of them these."""
    signed = b'%b,"attested_by":"%b"' % (value[:-1], key_id.encode())
    return b'%b%b%b"}' % (signed, _MARK, _hash(key, signed))


def attestation_of(value: bytes, keys: Mapping[str, bytes]) -> Attested:
    """Return whether one of the keys vouches for a message, by their ids. Total: no message raises."""
    if (found := _found(value)) is None:
        return Attested.NO
    key = keys.get(found[1].decode())
    signed = value[:-_LENGTH]
    return Attested.YES if key and hmac.compare_digest(_hash(key, signed), found[2]) else Attested.FALSE


def without_attestation(value: bytes) -> bytes:
    """Return a message without the two members at its end, or as it is if it has none."""
    found = _found(value)
    return value if found is None else value[: found.start()] + b"}"


def says_attested(value: bytes) -> bool:
    """Return whether a message ends as one that is attested, truly or not; it takes no search."""
    return value[-_LENGTH : len(_MARK) - _LENGTH] == _MARK


def _found(value: bytes) -> "re.Match[bytes] | None":
    if not says_attested(value):
        return None
    return _tail.search(value, max(0, len(value) - _LONGEST))


def _hash(key: bytes, signed: bytes) -> bytes:
    return keyed_hash(key, signed).hex()[:_DIGITS].encode()
