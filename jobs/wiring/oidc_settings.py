"""The settings of the identity provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.api import (
    OIDC_ALGORITHMS,
    OIDC_AUDIENCE,
    OIDC_CLIENT_ID,
    OIDC_CLIENT_SECRET,
    OIDC_ISSUER,
    OIDC_JWKS_URL,
    OIDC_PAYEE_CLAIM,
    OIDC_ROLE_CLAIM,
    OIDC_SCOPE,
    OIDC_SCOPE_CLAIM,
    PORTAL_URL,
)
from serving_layer.access.sign_in import Client

RETURN_PATH = "/portal/sign-in/return"


@dataclass(frozen=True)
class OidcSettings:
    """An identity provider."""

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...]
    role_claim: str
    payee_claim: str
    scope_claim: str
    client: Client | None
    """The portal's registration with it; None: the portal offers no sign-in by it."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "OidcSettings | None":
        """Read VIEWLEDGER_OIDC_* and VIEWLEDGER_PORTAL_URL; return None if VIEWLEDGER_OIDC_ISSUER is not set."""
        issuer = OIDC_ISSUER.read_if_set(environ)
        if issuer is None:
            return None
        jwks_url = OIDC_JWKS_URL.read(environ)
        if not is_safe_url(jwks_url):
            raise CommandError(
                f"{OIDC_JWKS_URL.name} must be https: with changed keys an attacker can make tokens",
                ExitCode.BAD_INPUT,
            )
        return cls(
            issuer=issuer,
            audience=OIDC_AUDIENCE.read(environ),
            jwks_url=jwks_url,
            algorithms=OIDC_ALGORITHMS.read(environ),
            role_claim=OIDC_ROLE_CLAIM.read(environ),
            payee_claim=OIDC_PAYEE_CLAIM.read(environ),
            scope_claim=OIDC_SCOPE_CLAIM.read(environ),
            client=_client(environ, issuer),
        )


def _client(environ: Mapping[str, str], issuer: str) -> Client | None:
    client_id = OIDC_CLIENT_ID.read_if_set(environ)
    if client_id is None:
        return None
    if not is_safe_url(issuer):
        raise CommandError(
            f"{OIDC_ISSUER.name} must be https where people sign in: it says where they are sent to",
            ExitCode.BAD_INPUT,
        )
    portal_url = PORTAL_URL.read(environ)
    if not is_safe_url(portal_url):
        raise CommandError(
            f"{PORTAL_URL.name} must be https where people sign in: the identity provider sends them there",
            ExitCode.BAD_INPUT,
        )
    scope = OIDC_SCOPE.read(environ)
    if "openid" not in scope.split():
        raise CommandError(f"{OIDC_SCOPE.name} is {scope!r}; openid must be among it", ExitCode.BAD_INPUT)
    secret = OIDC_CLIENT_SECRET.read_if_set(environ)
    return Client(client_id, secret, portal_url + RETURN_PATH, scope)


def is_safe_url(url: str) -> bool:
    """Return whether traffic with this URL cannot be changed on the way: https, or this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
