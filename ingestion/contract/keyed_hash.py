"""HMAC-SHA256 (RFC 2104) of many short messages under few keys."""

import functools
import hmac


def keyed_hash(key: bytes, message: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SHA256.

    It takes a copy of a state that the key is in already: less time than `hmac.digest`, which also lets another thread
    run in every call.
    """
    state = _begun(key).copy()
    state.update(message)
    return state.digest()


def fingerprint(key: bytes) -> str:
    """Return 16 hex digits by which a key is recognised, and which do not help to find it."""
    return keyed_hash(key, b"fingerprint").hex()[:16]


@functools.lru_cache(maxsize=64)
def _begun(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")
