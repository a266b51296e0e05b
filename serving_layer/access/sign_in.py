"""Sign in at an identity provider: authorization code with PKCE (RFC 6749, RFC 7636; OpenID Connect Core 1.0). Pure.

The browser itself keeps an attempt, sealed by a keyed hash, until it returns: nothing is stored here.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

import msgspec

BEGINNING = "/portal"
RETURN_LENGTH_MAX = 512
ATTEMPT_LASTS = timedelta(minutes=10)
_is_path = re.compile(r"/portal(/[A-Za-z0-9._~%/:@!$&'()*+,;=-]*)?(\?[A-Za-z0-9._~%/:@!$&'()*+,;=?-]*)?").fullmatch


@dataclass(frozen=True)
class Client:
    """Our registration as a client of the identity provider."""

    client_id: str
    secret: str | None = field(repr=False)
    """None: a public client, protected by PKCE alone."""
    redirect_url: str
    scope: str = "openid"


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to sign in, from the redirect to the provider until the return."""

    state: str
    """Returns with the browser: proves that the same browser left."""
    nonce: str
    """Returns in the ID token: proves that it was made for this attempt."""
    verifier: str
    """The provider received its hash: only the browser that left can use the code."""
    return_path: str
    ends_at: datetime


def begun(return_path: str, secrets: tuple[str, str, str], now: datetime) -> Attempt:
    """Return a new attempt; `secrets`: three unguessable texts of 43 to 128 URL-safe characters."""
    return Attempt(*secrets, safe_return_path(return_path), now + ATTEMPT_LASTS)


def sealed(attempt: Attempt, key: bytes) -> str:
    """Return the attempt as a tamper-evident text."""
    content = base64.urlsafe_b64encode(msgspec.json.encode(attempt)).decode()
    return f"{content}.{_tag(content, key)}"


def opened(text: str, key: bytes, now: datetime) -> Attempt | None:
    """Return the attempt; None if the text was not made here or the attempt has expired."""
    content, _, tag = text.partition(".")
    if not hmac.compare_digest(tag.encode(errors="replace"), _tag(content, key).encode()):
        return None
    try:
        attempt = msgspec.json.decode(base64.urlsafe_b64decode(content), type=Attempt)
    except (binascii.Error, msgspec.DecodeError):
        return None
    return attempt if now < attempt.ends_at else None


def authorization_url(endpoint: str, client: Client, attempt: Attempt) -> str:
    """Return the URL that the browser is sent to."""
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_url,
        "scope": client.scope,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge(attempt.verifier),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def token_form(client: Client, attempt: Attempt, code: str) -> dict[str, str]:
    """Return the form of the request for an ID token; the secret, if any, goes into a header."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_url,
        "client_id": client.client_id,
        "code_verifier": attempt.verifier,
    }


def challenge(verifier: str) -> str:
    """Return the hash of a verifier by RFC 7636 (S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def safe_return_path(text: str) -> str:
    """Return the path if it leads to a page of the portal other than signing in or out; else the first page."""
    path = urlsplit(text).path
    if len(text) > RETURN_LENGTH_MAX or not _is_path(text) or "//" in path or "/.." in path or "%" in path:
        return BEGINNING
    return BEGINNING if path.startswith(("/portal/sign-in", "/portal/sign-out")) else text


def _tag(content: str, key: bytes) -> str:
    return hmac.new(key, b"sign-in:" + content.encode(errors="replace"), hashlib.sha256).hexdigest()
