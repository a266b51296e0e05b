"""An identity provider over HTTP: its sign-in page, and the exchange of a code for an ID token."""

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from serving_layer.access.access import unauthorized
from serving_layer.access.http_jwks import fetched
from serving_layer.access.jwt_id_tokens import IdTokens
from serving_layer.access.jwt_key_set import FetchFailedError
from serving_layer.access.sign_in import Attempt, Client, authorization_url, token_form
from serving_layer.problems.problems import ProblemError, refused

logger = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
PAUSE_SECONDS = 2.0
"""The pause before a provider that did not answer is called again, for all visitors."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint")
_POST, _BASIC = "client_secret_post", "client_secret_basic"


class HttpIdentityProvider:
    """See the port `IdentityProvider` of the portal. For one event loop.

    `is_trusted` returns whether a URL of the provider may be used: https, or loopback.
    """

    def __init__(
        self,
        issuer: str,
        client: Client,
        tokens: IdTokens,
        *,
        is_trusted: Callable[[str], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self.name = urlsplit(issuer).hostname or issuer
        self._issuer = issuer
        self._client = client
        self._tokens = tokens
        self._is_trusted = is_trusted
        self._monotonic = monotonic
        self._known: tuple[Mapping[str, Any], float] | None = None
        self._failed: tuple[ProblemError, float] | None = None

    async def authorization_url(self, attempt: Attempt) -> str:
        """See the port."""
        return authorization_url((await self._configuration())["authorization_endpoint"], self._client, attempt)

    async def id_token(self, code: str, attempt: Attempt) -> str:
        """See the port."""
        configuration = await self._configuration()
        form, auth = token_form(self._client, attempt, code), None
        if (secret := self._client.secret) is not None:
            allowed = configuration.get("token_endpoint_auth_methods_supported", [_BASIC])
            if _POST in allowed and _BASIC not in allowed:
                form["client_secret"] = secret
            else:  # RFC 6749, 2.3.1: both are encoded before they are joined
                auth = httpx.BasicAuth(quote(self._client.client_id, safe=""), quote(secret, safe=""))
        try:
            status, answer = await fetched(configuration["token_endpoint"], form=form, auth=auth)
        except FetchFailedError as error:
            raise _away(error) from error
        token = answer.get("id_token")
        if status >= 500:
            raise _away(FetchFailedError(f"the token endpoint answers {status}"))
        if status != 200 or not isinstance(token, str):
            logger.warning("code refused", extra={"fields": {"status": status, "error": str(answer.get("error"))[:80]}})
            raise unauthorized("token_invalid", "the identity provider did not accept its own code; sign in again")
        await self._tokens.caller(token, attempt.nonce)
        return token

    async def _configuration(self) -> Mapping[str, Any]:
        """Return the provider's own description; raise ProblemError(identity_provider_unavailable)."""
        now = self._monotonic()
        if self._known is None or now > self._known[1] + FRESH_SECONDS:
            if self._failed is not None and now < self._failed[1] + PAUSE_SECONDS:
                raise self._failed[0]
            try:
                self._known = (await self._described(), now)
            except ProblemError as error:
                self._failed = (error, now)
                raise
        return self._known[0]

    async def _described(self) -> Mapping[str, Any]:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            status, found = await fetched(url)
            if status != 200 or found.get("issuer") != self._issuer:
                raise FetchFailedError(f"{url} answers {status} and describes the issuer {found.get('issuer')!r}")
            for name in _ENDPOINTS:
                if not isinstance(found.get(name), str) or not self._is_trusted(found[name]):
                    raise FetchFailedError(f"{url} has no {name} with https")
        except FetchFailedError as error:
            raise _away(error) from error
        return found


def _away(error: FetchFailedError) -> ProblemError:
    logger.warning("identity provider not used", extra={"fields": {"reason": str(error)}})
    return refused(
        "identity_provider_unavailable",
        "the identity provider does not answer as it should, so nobody can sign in there now; try again shortly",
        {"Retry-After": "5"},
    )
