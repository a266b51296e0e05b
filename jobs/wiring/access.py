"""Wire access to the API: the guard of its routes, the accepted tokens, and the sign-in."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from starlette.requests import Request

from ingestion.client_network import client_address
from ingestion.contract.networks import network_of
from jobs.wiring.access_settings import AccessSettings
from jobs.wiring.oidc_settings import OidcSettings, is_safe_url
from serving_layer.access.access import Caller
from serving_layer.access.api_keys import ApiKey
from serving_layer.access.http_access import Guard
from serving_layer.access.http_jwks import fetch_key_set
from serving_layer.access.http_oidc import HttpIdentityProvider
from serving_layer.access.identification import Access
from serving_layer.access.jwt_id_tokens import IdTokens
from serving_layer.access.jwt_key_set import CachedKeySet
from serving_layer.access.jwt_tokens import Issuer, TokenVerifier
from serving_layer.access.limits_requests import RequestLimits
from serving_layer.access.postgres_api_keys import PostgresApiKeys


@dataclass(frozen=True)
class Guards:
    """The guard and its parts."""

    guard: Guard
    """The guard of the API's routes."""
    pages: Access
    """The identification of the portal: it also accepts the ID tokens of signed-in people."""
    oidc: Issuer | None
    """The identity provider, if there is one."""


def wire_access(
    chosen: AccessSettings, keys: PostgresApiKeys, executor: Executor, observe: Callable[[str, int], None]
) -> Guards:
    """Wire the guard of the API's routes and the portal's access. `executor` runs look-ups of keys."""

    async def find_key(key_id: str) -> ApiKey | None:
        return await asyncio.get_running_loop().run_in_executor(executor, keys.find, key_id)

    def access_of(issuers: list[Issuer]) -> Access:
        return Access(
            find_key=find_key,
            tokens=TokenVerifier(issuers),
            clock=time.time,
            counts_are_public=chosen.counts_are_public,
        )

    local = [chosen.local_issuer.accepted()] if chosen.local_issuer else []
    oidc = issuer_at(chosen.oidc) if chosen.oidc else None
    access = access_of([*local, oidc] if oidc else local)
    pages = access
    if oidc is not None and chosen.oidc is not None and (client := chosen.oidc.client) is not None:
        pages = access_of([*local, replace(oidc, audiences=(*oidc.audiences, client.client_id))])

    async def identify(request: Request) -> Caller:
        return await access.caller(request.headers.get("authorization"))

    def sender_network(request: Request) -> str:
        peer = request.client.host if request.client else None
        if not chosen.proxies:
            return _network(peer)
        return _network(client_address(peer, request.headers.getlist("x-forwarded-for"), chosen.proxies))

    limits = RequestLimits(time.time, anonymous=chosen.rate_anonymous, caller=chosen.rate_caller)
    guard = Guard(
        identify,
        limits,
        sender_network,
        logs_every_answer=chosen.logs_every_answer,
        strict_transport=f"max-age={chosen.hsts_seconds}" if chosen.hsts_seconds else None,
        observe=observe,
    )
    return Guards(guard, pages, oidc)


def issuer_at(oidc: OidcSettings) -> Issuer:
    """Return what a verifier needs to accept the identity provider's tokens; the key set is fetched on demand."""
    keys = CachedKeySet(partial(fetch_key_set, oidc.jwks_url), time.monotonic)
    claims = (oidc.role_claim, oidc.payee_claim, oidc.scope_claim)
    return Issuer(oidc.issuer, (oidc.audience,), oidc.algorithms, keys, *claims)


def sign_in_at(
    oidc: OidcSettings | None, issuer: Issuer | None, monotonic: Callable[[], float] = time.monotonic
) -> HttpIdentityProvider | None:
    """Return the provider for sign-ins; None if it is not configured. It is called at the first sign-in."""
    if oidc is None or issuer is None or oidc.client is None:
        return None
    tokens = IdTokens(issuer, oidc.client.client_id)
    return HttpIdentityProvider(oidc.issuer, oidc.client, tokens, is_trusted=is_safe_url, monotonic=monotonic)


def _network(address: str | None) -> str:
    known = _networks.get(address)
    if known is None:
        if len(_networks) >= 10_000:
            _networks.clear()
        known = _networks[address] = (network_of(address) if address else None) or "unknown"
    return known


_networks: dict[str | None, str] = {}
"""Address → network: parsing an address costs more than all other work of the guard."""
