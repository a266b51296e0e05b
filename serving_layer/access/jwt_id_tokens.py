"""Check ID tokens of the identity provider (OpenID Connect Core 1.0, 3.1.3.7) when a sign-in returns from it."""

import hmac
from dataclasses import replace

from serving_layer.access.access import Caller, unauthorized
from serving_layer.access.jwt_tokens import Issuer, TokenVerifier


class IdTokens:
    """Checks ID tokens that were made for a client."""

    def __init__(self, issuer: Issuer, client_id: str) -> None:
        self._client_id = client_id
        self._verifier = TokenVerifier([replace(issuer, audiences=(client_id,))])

    async def caller(self, token: str, nonce: str) -> Caller:
        """Return the caller of the token, if it was made for this client and for the attempt with this nonce.

        Raises:
            ProblemError: as `TokenVerifier.caller`; token_invalid if it is of another attempt,
                token_audience if it is for another client.
        """
        issuer, claims = await self._verifier.verified(token)
        found = claims.get("nonce")
        if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
            raise unauthorized(
                "token_invalid", "the ID token was made for another sign-in (its nonce differs); sign in again"
            )
        audience = claims["aud"]
        is_shared = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if is_shared else self._client_id) != self._client_id:
            raise unauthorized("token_audience", "the ID token was made for another client (its azp differs)")
        return issuer.caller_of(claims)
