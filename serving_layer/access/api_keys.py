"""API keys: their form, the stored part, and their validity. Pure.

A key is `vlk_<key id>_<secret>`. The secret has 256 random bits, so one round of SHA-256 is as good as a slow hash;
only that hash is stored, and the secret cannot be derived from it.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from serving_layer.access.access import Caller, Role, Scope, unauthorized

PREFIX = "vlk_"
LIVE_MAX = 2
"""Live keys of one owner: the one in use and the one that replaces it."""
OWNER_PATTERN = "^[a-z0-9][a-z0-9._-]{0,62}$"
OWNER_ALLOWED = "1 to 63 of the characters a-z 0-9 . _ -, of which the first is a letter or a digit"
_FORM = re.compile(r"vlk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class ApiKey:
    """The stored part of a key."""

    key_id: str
    owner: str
    secret_sha256: str
    scopes: frozenset[Scope]
    payee_id: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Return whether it is still valid."""
        return self.revoked_at is None and now < self.expires_at


def key_text(key_id: str, secret: str) -> str:
    """Return the key in the form that its owner sends."""
    return f"{PREFIX}{key_id}_{secret}"


def hashed(secret: str) -> str:
    """Return the stored form of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parsed(text: str) -> tuple[str, str]:
    """Return (key id, secret).

    Raises:
        ProblemError: key_unknown, if the text does not have the form of a key.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise unknown()
    return found[1], found[2]


def caller_of_key(key: ApiKey | None, secret: str, now: datetime) -> Caller:
    """Return the caller of a key.

    Raises:
        ProblemError: key_unknown (no such key or a wrong secret, which look the same), key_revoked, key_expired.
    """
    if key is None or not hmac.compare_digest(key.secret_sha256, hashed(secret)):
        raise unknown()
    if key.revoked_at is not None:
        raise unauthorized("key_revoked", f"the API key {key.key_id} was revoked at {key.revoked_at:%FT%TZ}")
    if now >= key.expires_at:
        raise unauthorized("key_expired", f"the API key {key.key_id} expired at {key.expires_at:%FT%TZ}")
    return Caller(f"key:{key.key_id}", Role.MACHINE, key.scopes, key.payee_id, key.expires_at)


def unknown() -> Exception:
    """Return the answer to an unknown key."""
    return unauthorized("key_unknown", "the API key is not known; ./viewledger keys list shows the keys there are")
