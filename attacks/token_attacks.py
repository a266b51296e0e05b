"""Forged, stretched and stolen credentials at the API: everything that they could open must stay closed."""

import base64
import hmac
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attacks.attempts import Attack, NotTriedError
from attacks.site import Site
from serving_layer.access.access import Role
from serving_layer.access.jwt_local_issuer import ALGORITHM, AUDIENCE, KEY_ID, LOCAL_ISSUER

PROTECTED = ("/v1/channels/ann/statements", "/v1/channels/ann/views", "/v1/statements/none/events")
CLOSED = (401, 403)
GUESSES = 100


def unsigned_tokens(site: Site) -> Iterator[str | None]:
    """Tokens with the algorithm `none` in every spelling, with and without a signature; one would be anybody."""
    body = _part(_claims())
    for algorithm in ("none", "None", "NONE", "nOnE", "", None):
        for signature in ("", "x", _part({})):
            yield from _opened(
                site, f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{body}.{signature}", f"alg {algorithm!r}"
            )


def symmetric_tokens(site: Site) -> Iterator[str | None]:
    """Tokens signed by HMAC with the public key as the secret; a verifier that takes the header's word accepts them."""
    public = site.signing_key.public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (raw, pem, raw.hex().encode(), b"", LOCAL_ISSUER.encode()):
        for algorithm, name in (("sha256", "HS256"), ("sha384", "HS384"), ("sha512", "HS512")):
            signed = f"{_part({'alg': name, 'kid': KEY_ID})}.{_part(_claims())}"
            yield from _opened(site, f"{signed}.{_hmac(secret, signed, algorithm)}", f"{name} with a public secret")


def tokens_of_another_key(site: Site) -> Iterator[str | None]:
    """Tokens signed by a key of the attacker, which their header contains or points to."""
    key = Ed25519PrivateKey.generate()
    brought = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
    headers: tuple[Mapping[str, Any], ...] = (
        {"kid": KEY_ID},
        {},
        {"kid": "../../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": KEY_ID, "jwk": brought},
        {"kid": KEY_ID, "jku": f"{site.api.base_url}portal/static/keys.json"},
        {"kid": KEY_ID, "x5u": "http://127.0.0.1:9/keys.pem"},
        {"kid": KEY_ID, "crit": ["unknown"], "unknown": True},
    )
    for header in headers:
        token = jwt.encode(_claims(), key, algorithm=ALGORITHM, headers=dict(header))
        yield from _opened(site, token, f"another key under {header}")


def tokens_out_of_their_time(site: Site) -> Iterator[str | None]:
    """Genuine tokens that have expired, are not valid yet, or never expire."""
    now = datetime.now(UTC)
    for what, changes in (
        ("expired", {"exp": now - timedelta(minutes=2)}),
        ("not valid yet", {"nbf": now + timedelta(minutes=5)}),
        ("issued in the future", {"iat": now + timedelta(days=1), "nbf": now + timedelta(days=1)}),
        ("without an end", {"exp": None}),
        ("with a text for its end", {"exp": "tomorrow"}),
    ):
        yield from _opened(site, _signed(site, changes), what)


def tokens_for_others(site: Site) -> Iterator[str | None]:
    """Genuine signatures on tokens of another issuer, for another audience, or for nobody."""
    for what, changes in (
        ("another issuer", {"iss": "https://elsewhere.example"}),
        ("no issuer", {"iss": None}),
        ("another audience", {"aud": "another-application"}),
        ("no audience", {"aud": None}),
        ("an empty audience", {"aud": []}),
        ("no subject", {"sub": None}),
    ):
        yield from _opened(site, _signed(site, changes), what)


def misspelt_claims(site: Site) -> Iterator[str | None]:
    """Genuine tokens whose role or scope is misspelt or of another type; an unknown value must grant nothing."""
    for what, changes in (
        ("role Finance", {"role": "Finance"}),
        ("role as a list", {"role": ["finance"]}),
        ("role with a space", {"role": "finance "}),
        ("no role", {"role": None}),
        ("role anonymous", {"role": "anonymous"}),
        ("role machine", {"role": "machine"}),
        ("scope misspelt", {"scope": "statement:read"}),
        ("scope in capitals", {"scope": "STATEMENTS:READ"}),
        ("scope of something else", {"scope": "counts:read"}),
        ("scope as a list of nothing", {"scope": []}),
        ("scope as a number", {"scope": 7}),
        ("empty scope", {"scope": ""}),
        ("creator without a payee", {"role": "creator", "payee": None}),
        ("creator with a list of payees", {"role": "creator", "payee": ["ann", "ben"]}),
        ("creator with a star", {"role": "creator", "payee": "*"}),
    ):
        yield from _opened(site, _signed(site, changes), what)


def anothers_channel(site: Site) -> Iterator[str | None]:
    """A creator's own token requests another payee's data, by every route that names a payee."""
    headers = {"Authorization": f"Bearer {site.token(Role.CREATOR, 'mallory')}"}
    for path in ("statements", "views", "views/series?from=2026-11-01&to=2026-11-02", "views/live"):
        for payee in ("ann", "ann%00", "mallory%2F..%2Fann", "mallory/../ann", "ANN"):
            answer = site.api.get(f"/v1/channels/{payee}/{path}", headers=headers)
            yield f"{path} of {payee} answers {answer.status_code}" if answer.status_code == 200 else None


def guessed_keys(site: Site) -> Iterator[str | None]:
    """API keys and tokens are guessed one after the other; the guesses must be stopped early."""
    codes = []
    for _ in range(GUESSES):
        headers = {"Authorization": f"Bearer vlk_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"}
        codes.append(site.api.get(PROTECTED[0], headers=headers).status_code)
        yield f"a guessed key answers {codes[-1]}" if codes[-1] == 200 else None
    yield None if 429 in codes else f"{GUESSES} guesses in a row were answered and none was refused as too many"


def _claims(changes: Mapping[str, Any] = {}) -> dict[str, Any]:
    now = datetime.now(UTC)
    plain = {"iss": LOCAL_ISSUER, "sub": "mallory", "aud": AUDIENCE, "role": "finance"}
    times = {"iat": now, "nbf": now, "exp": now + timedelta(minutes=5)}
    return {name: value for name, value in (plain | times | dict(changes)).items() if value is not None}


def _signed(site: Site, changes: Mapping[str, Any]) -> str:
    """Return a token with the issuer's own signature on claims that it would never make."""
    header = _part({"alg": ALGORITHM, "kid": KEY_ID, "typ": "JWT"})
    signed = f"{header}.{_part(_claims(changes))}"
    return f"{signed}.{_text(site.signing_key.sign(signed.encode()))}"


def _opened(site: Site, token: str, what: str) -> Iterator[str | None]:
    genuine = site.api.get(PROTECTED[0], headers={"Authorization": f"Bearer {site.token(Role.FINANCE)}"})
    if genuine.status_code in CLOSED:
        raise NotTriedError(f"a genuine token gets {genuine.status_code}")
    for path in PROTECTED:
        answer = site.api.get(path, headers={"Authorization": f"Bearer {token}"} | site.somewhere())
        is_closed = answer.status_code in CLOSED
        yield None if is_closed else f"a token with {what} gets {answer.status_code} from {path}"


def _hmac(secret: bytes, text: str, algorithm: str) -> str:
    return _text(hmac.digest(secret, text.encode(), algorithm))


def _part(content: Mapping[str, Any]) -> str:
    plain = {name: int(value.timestamp()) if isinstance(value, datetime) else value for name, value in content.items()}
    return _text(json.dumps(plain).encode())


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


FAMILY: dict[str, Attack] = {
    "token-unsigned": unsigned_tokens,
    "token-symmetric": symmetric_tokens,
    "token-another-key": tokens_of_another_key,
    "token-out-of-time": tokens_out_of_their_time,
    "token-for-others": tokens_for_others,
    "token-misspelt-claims": misspelt_claims,
    "token-anothers-channel": anothers_channel,
    "token-guessed": guessed_keys,
}
