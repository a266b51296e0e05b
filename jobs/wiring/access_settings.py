"""Who may ask the API for what: the settings, and the guard they make."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from ingestion.client_network import client_address, network_of
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.connections import read_proxies
from jobs.wiring.oidc_settings import OidcSettings, is_loopback
from serving_layer.access.access import Caller, Role
from serving_layer.access.api_keys import ApiKey
from serving_layer.access.http_access import Guard
from serving_layer.access.identification import Access
from serving_layer.access.jwt_local_issuer import LocalIssuer
from serving_layer.access.jwt_tokens import Issuer, TokenVerifier
from serving_layer.access.limits_requests import RequestLimits
from serving_layer.access.postgres_api_keys import PostgresApiKeys

YEAR_SECONDS = 31_536_000
DEFAULT_RATE = "6000/minute"


@dataclass(frozen=True)
class AccessSettings:
    """What the API is told about access. The local issuer's seed is a secret and never shown."""

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
        """Read and checks the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            counts_are_public=settings.flag(environ, "VIEWLEDGER_API_ANONYMOUS", default=True),
            oidc=OidcSettings.from_environ(environ),
            local_issuer=local_issuer(environ),
            proxies=read_proxies(environ),
            rate_anonymous=_rate(environ, "VIEWLEDGER_API_RATE_ANONYMOUS"),
            rate_caller=_rate(environ, "VIEWLEDGER_API_RATE_CALLER"),
            logs_every_answer=settings.flag(environ, "VIEWLEDGER_API_LOG_ANSWERS", default=False),
            hsts_seconds=settings.integer(
                environ,
                "VIEWLEDGER_HSTS_SECONDS",
                default=YEAR_SECONDS if settings.flag(environ, "VIEWLEDGER_PORTAL_SECURE_COOKIES", default=True) else 0,
                least=0,
                most=10 * YEAR_SECONDS,
            ),
        )


def local_issuer(environ: Mapping[str, str]) -> LocalIssuer | None:
    """Return the issuer of development tokens, where VIEWLEDGER_LOCAL_ISSUER_SEED is set (the local stack sets it).

    Refused where the API listens to more than this machine: its tokens ask nobody who somebody is.
    """
    seed = environ.get("VIEWLEDGER_LOCAL_ISSUER_SEED", "")
    if not seed:
        return None
    if not re.fullmatch(r"[0-9a-f]{64}", seed):
        raise CommandError("VIEWLEDGER_LOCAL_ISSUER_SEED must be 64 hexadecimal digits", ExitCode.BAD_INPUT)
    if not is_loopback(environ.get("VIEWLEDGER_BIND_HOST") or "127.0.0.1"):
        raise CommandError(
            "VIEWLEDGER_LOCAL_ISSUER_SEED is for development: unset it, or let VIEWLEDGER_BIND_HOST be 127.0.0.1",
            ExitCode.BAD_INPUT,
        )
    return LocalIssuer(bytes.fromhex(seed))


def development_bearer(environ: Mapping[str, str], role: Role) -> dict[str, str]:
    """Return the header by which our commands ask the local API; raises CommandError without a local issuer."""
    issuer = local_issuer(environ)
    if issuer is None:
        raise CommandError("VIEWLEDGER_LOCAL_ISSUER_SEED is not set; the local stack sets it", ExitCode.BAD_INPUT)
    now, lifetime = datetime.now(UTC), timedelta(minutes=10)
    token = issuer.token(subject="viewledger", role=role, payee_id=None, now=now, lifetime=lifetime)
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Doors:
    """Who may come in where."""

    guard: Guard
    """Of the API's routes."""
    pages: Access
    """Of the portal: it also accepts the ID tokens of those who signed in."""
    oidc: Issuer | None
    """The identity provider, where there is one."""


def open_doors(
    chosen: AccessSettings, keys: PostgresApiKeys, executor: Executor, observe: Callable[[str, int], None]
) -> Doors:
    """Wires the guard of the API's routes and the portal's access. `executor` runs look-ups of keys."""

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
    return Doors(guard, pages, oidc)


def _network(address: str | None) -> str:
    known = _networks.get(address)
    if known is None:
        if len(_networks) >= 10_000:
            _networks.clear()
        known = _networks[address] = (network_of(address) if address else None) or "unknown"
    return known


_networks: dict[str | None, str] = {}
"""Address → network: parsing an address costs more than everything else the guard does."""


def _rate(environ: Mapping[str, str], name: str) -> str:
    text = environ.get(name) or DEFAULT_RATE
    if not re.fullmatch(r"[1-9]\d{0,9}/(second|minute|hour)", text, re.ASCII):
        raise CommandError(f"{name} is {text!r}; it must look like 600/minute", ExitCode.BAD_INPUT)
    return text
