"""The Idempotency-Key of a request: the same request under the same key has one effect and one answer. Pure.

Each caller has its own keys; requests are compared by a hash of the path and of the body's bytes.
"""

import hashlib
import re

from ingestion.contract.requests import RequestKey
from serving_layer.access.access import Caller
from serving_layer.problems.problems import ProblemError, refused

HEADER = "Idempotency-Key"
KEY_PATTERN = "[!-~]{1,128}"
_is_key = re.compile(KEY_PATTERN).fullmatch


def key_of(sent: str | None) -> str:
    """Return the key that was sent; None is a missing one.

    Raises:
        ProblemError: idempotency_key_invalid.
    """
    if sent is None or not _is_key(sent):
        state = "is missing" if sent is None else "is malformed"
        raise refused(
            "idempotency_key_invalid",
            f"the header {HEADER} {state}; send 1 to 128 visible ASCII characters, a new key for each new request",
        )
    return sent


def request_key(key: str, caller: Caller, *, path: str, body: bytes) -> RequestKey:
    """Return what a request is known by."""
    return RequestKey(caller.subject, key, hashlib.sha256(path.encode() + b"\n" + body).hexdigest())


def key_reused() -> ProblemError:
    """Return the answer to another request under a used key."""
    return refused(
        "idempotency_key_reused",
        f"another request was answered under this {HEADER}; repeat that one as it was, or take a new key",
    )
