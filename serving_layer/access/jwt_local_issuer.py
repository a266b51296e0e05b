"""An issuer for development: tokens signed by a key of the local stack, without any authentication."""

import secrets
from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving_layer.access.access import Role
from serving_layer.access.jwt_key_set import FixedKeySet
from serving_layer.access.jwt_tokens import Issuer

LOCAL_ISSUER = "urn:viewledger:local"
AUDIENCE = "viewledger"
ALGORITHM = "EdDSA"
KEY_ID = "local"
LIFETIME_MAX = timedelta(days=1)


class LocalIssuer:
    """Issues tokens. `seed`: 32 secret bytes, the private key of Ed25519."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def accepted(self) -> Issuer:
        """Return what a verifier needs to accept its tokens."""
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        key = jwt.PyJWK({**public, "kid": KEY_ID, "alg": ALGORITHM})
        return Issuer(LOCAL_ISSUER, (AUDIENCE,), (ALGORITHM,), FixedKeySet(key))

    def token(
        self, *, subject: str, role: Role, payee_id: str | None, now: datetime, lifetime: timedelta, audience: str = ""
    ) -> str:
        """Return a signed token; a lifetime below zero makes one that has expired, for tests."""
        claims = {
            "iss": LOCAL_ISSUER,
            "sub": subject,
            "aud": audience or AUDIENCE,
            "iat": now,
            "nbf": min(now, now + lifetime),
            "exp": now + min(lifetime, LIFETIME_MAX),
            "jti": secrets.token_hex(8),
            "role": str(role),
        }
        if payee_id is not None:
            claims["payee"] = payee_id
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": KEY_ID})
