"""Tokens of people: JWTs (RFC 7519) of known issuers, checked with PyJWT.

It checks the signature by an algorithm of the allow-list (never a symmetric one, never `none`), `iss`, `aud`, `exp`,
`nbf` if present, and that `iss`, `sub`, `aud`, `exp` are present.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from serving_layer.access.access import Caller, unauthorized
from serving_layer.access.claims import caller_of_claims

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""The algorithms that may be configured for an issuer."""
LEEWAY_SECONDS = 30
TYPES = ("jwt", "at+jwt")
"""The accepted values of the header's `typ`; other kinds, such as `logout+jwt`, do not identify a person."""
LAST_SECOND = 253_402_300_799
"""In the year 9999; a later expiry is cut to it."""
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""The errors of PyJWT; the others come from JSON that nests too deeply, and from numbers beyond any instant."""
_REQUIRED = ["iss", "sub", "aud", "exp"]


class KeySet(Protocol):
    """An issuer's public keys."""

    async def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key with this id, or the only key if there is one and no id; None: there is none.

        Raises ProblemError(identity_provider_unavailable).
        """


@dataclass(frozen=True)
class Issuer:
    """The issuer whose tokens are accepted, and how they are read."""

    issuer: str
    audiences: Sequence[str]
    """A token must be made for one of these audiences."""
    algorithms: Sequence[str]
    keys: KeySet
    role_claim: str = "role"
    payee_claim: str = "payee"
    scope_claim: str = "scope"

    def caller_of(self, claims: Mapping[str, Any]) -> Caller:
        """Return the caller that verified claims describe; raise ProblemError(token_invalid)."""
        return caller_of_claims(
            claims, role_claim=self.role_claim, payee_claim=self.payee_claim, scope_claim=self.scope_claim
        )


class TokenVerifier:
    """Turns tokens into callers."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {each.issuer: each for each in issuers}

    async def caller(self, token: str) -> tuple[Caller, float]:
        """Return the caller of the token, and when it expires (seconds since the epoch).

        Raises:
            ProblemError: token_invalid, token_expired, token_not_yet_valid, token_audience, or
                identity_provider_unavailable.
        """
        issuer, claims = await self.verified(token)
        return issuer.caller_of(claims), float(min(int(claims["exp"]), LAST_SECOND))

    async def verified(self, token: str) -> tuple[Issuer, Mapping[str, Any]]:
        """Return the token's issuer and its verified claims; raise as `caller` does."""
        issuer = self._issuer_of(token)
        header = _header(token)
        kind, key_id = header.get("typ"), header.get("kid")
        if kind is not None and not (isinstance(kind, str) and kind.lower().removeprefix("application/") in TYPES):
            raise unauthorized("token_invalid", f"the token's typ must be one of {', '.join(TYPES)}, or be absent")
        if "crit" in header:
            raise unauthorized("token_invalid", "the token's crit names an extension that this API does not support")
        if header.get("alg") not in issuer.algorithms:
            allowed = ", ".join(issuer.algorithms)
            raise unauthorized("token_invalid", f"the token's algorithm is not allowed; allowed are {allowed}")
        if key_id is not None and not isinstance(key_id, str):
            raise unauthorized("token_invalid", "the token's kid is not a text")
        key = await issuer.keys.key(key_id)
        if key is None:
            raise unauthorized("token_invalid", "the token is signed with a key that its issuer does not publish")
        return issuer, _verified(token, key, issuer)

    def _issuer_of(self, token: str) -> Issuer:
        try:
            # Read before it is verified, only to choose whose keys and audience to verify it with.
            named = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except _UNREADABLE as error:
            raise unauthorized("token_invalid", "the token is not a JWT") from error
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise unauthorized("token_invalid", "the token is not of an issuer that this API accepts")
        return issuer


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except _UNREADABLE as error:
        raise unauthorized("token_invalid", "the token's header cannot be read") from error


def _verified(token: str, key: jwt.PyJWK, issuer: Issuer) -> Mapping[str, Any]:
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[each for each in issuer.algorithms if each == key.algorithm_name],
            audience=issuer.audiences,
            issuer=issuer.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError as error:
        raise unauthorized("token_expired", "the token has expired; sign in again") from error
    except jwt.ImmatureSignatureError as error:
        raise unauthorized("token_not_yet_valid", "the token is not valid yet; compare the clocks") from error
    except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
        if isinstance(error, jwt.MissingRequiredClaimError) and error.claim != "aud":
            raise unauthorized("token_invalid", f"the token lacks the claim {error.claim}") from error
        allowed = " or ".join(issuer.audiences)
        raise unauthorized("token_audience", f"the token must be made for the audience {allowed}") from error
    except _UNREADABLE as error:
        raise unauthorized("token_invalid", "the token's signature or claims are not valid") from error
    return claims
