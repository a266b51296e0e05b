"""Access to the API: its settings, and the guard that they make."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from ingestion.client_network import client_address, network_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.connections import read_proxies
from jobs.settings.declared.api import (
    API_ANONYMOUS,
    API_LOG_ANSWERS,
    API_RATE_ANONYMOUS,
    API_RATE_CALLER,
    HSTS_SECONDS,
    LOCAL_ISSUER_SEED,
    PORTAL_SECURE_COOKIES,
    YEAR_SECONDS,
)
from jobs.settings.declared.listening import BIND_HOST
from jobs.wiring.oidc_settings import OidcSettings, is_loopback
from serving_layer.access.access import Caller, Role
from serving_layer.access.api_keys import ApiKey
from serving_layer.access.http_access import Guard
from serving_layer.access.identification import Access
from serving_layer.access.jwt_local_issuer import LocalIssuer
from serving_layer.access.jwt_tokens import Issuer, TokenVerifier
from serving_layer.access.limits_requests import RequestLimits
from serving_layer.access.postgres_api_keys import PostgresApiKeys


@dataclass(frozen=True)
class AccessSettings:
    """The settings of access to the API. The local issuer's seed is a secret and never shown."""

    counts_are_public: bool
    oidc: OidcSettings | None
    local_issuer: LocalIssuer | None
    proxies: frozenset[str]
    rate_anonymous: str
    rate_caller: str
    logs_every_answer: bool
    hsts_seconds: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "AccessSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            counts_are_public=API_ANONYMOUS.read(environ),
            oidc=OidcSettings.from_environ(environ),
            local_issuer=local_issuer(environ),
            proxies=read_proxies(environ),
            rate_anonymous=API_RATE_ANONYMOUS.read(environ),
            rate_caller=API_RATE_CALLER.read(environ),
            logs_every_answer=API_LOG_ANSWERS.read(environ),
            hsts_seconds=_hsts_seconds(environ),
        )


def local_issuer(environ: Mapping[str, str]) -> LocalIssuer | None:
    """Return the issuer of development tokens, if VIEWLEDGER_LOCAL_ISSUER_SEED is set (the local stack sets it).

    Refused if the API listens beyond this machine: its tokens are issued without authentication.
    """
    seed = LOCAL_ISSUER_SEED.read_if_set(environ)
    if seed is None:
        return None
    if not is_loopback(BIND_HOST.read(environ)):
        raise CommandError(
            f"{LOCAL_ISSUER_SEED.name} is for development: unset it, or let {BIND_HOST.name} be 127.0.0.1",
            ExitCode.BAD_INPUT,
        )
    return LocalIssuer(bytes.fromhex(seed))


def development_bearer(environ: Mapping[str, str], role: Role) -> dict[str, str]:
    """Return the header by which our commands call the local API; raise CommandError without a local issuer."""
    issuer = local_issuer(environ)
    if issuer is None:
        raise CommandError(f"{LOCAL_ISSUER_SEED.name} is not set; the local stack sets it", ExitCode.BAD_INPUT)
    now, lifetime = datetime.now(UTC), timedelta(minutes=10)
    token = issuer.token(subject="viewledger", role=role, payee_id=None, now=now, lifetime=lifetime)
    return {"Authorization": f"Bearer {token}"}


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
    oidc = chosen.oidc.accepted() if chosen.oidc else None
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


def _network(address: str | None) -> str:
    known = _networks.get(address)
    if known is None:
        if len(_networks) >= 10_000:
            _networks.clear()
        known = _networks[address] = (network_of(address) if address else None) or "unknown"
    return known


_networks: dict[str | None, str] = {}
"""Address → network: parsing an address costs more than all other work of the guard."""


def _hsts_seconds(environ: Mapping[str, str]) -> int:
    seconds = HSTS_SECONDS.read_if_set(environ)
    if seconds is None:
        return YEAR_SECONDS if PORTAL_SECURE_COOKIES.read(environ) else 0
    return seconds
