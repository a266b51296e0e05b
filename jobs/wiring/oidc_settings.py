"""The identity provider: its settings, whose tokens are accepted, and where people sign in."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from serving_layer.access.http_jwks import fetch_key_set
from serving_layer.access.http_oidc import HttpIdentityProvider
from serving_layer.access.jwt_id_tokens import IdTokens
from serving_layer.access.jwt_key_set import CachedKeySet
from serving_layer.access.jwt_tokens import ALGORITHMS, Issuer
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
    """What the portal is to it; None: nobody signs in there by way of the portal."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "OidcSettings | None":
        """Read VIEWLEDGER_OIDC_* and VIEWLEDGER_PORTAL_URL; None where VIEWLEDGER_OIDC_ISSUER is not set."""
        issuer = environ.get("VIEWLEDGER_OIDC_ISSUER", "")
        if not issuer:
            return None
        jwks_url = settings.url(environ, "VIEWLEDGER_OIDC_JWKS_URL", schemes=("https", "http"))
        if not is_safe_url(jwks_url):
            raise CommandError(
                "VIEWLEDGER_OIDC_JWKS_URL must be https: whoever can change the keys can make tokens",
                ExitCode.BAD_INPUT,
            )
        named = environ.get("VIEWLEDGER_OIDC_ALGORITHMS") or "RS256,ES256"
        algorithms = tuple(each.strip() for each in named.split(","))
        if not set(algorithms) <= set(ALGORITHMS):
            raise CommandError(
                f"VIEWLEDGER_OIDC_ALGORITHMS is {named!r}; allowed are {', '.join(ALGORITHMS)}", ExitCode.BAD_INPUT
            )
        return cls(
            issuer=issuer,
            audience=settings.required(environ, "VIEWLEDGER_OIDC_AUDIENCE"),
            jwks_url=jwks_url,
            algorithms=algorithms,
            role_claim=environ.get("VIEWLEDGER_OIDC_ROLE_CLAIM") or "role",
            payee_claim=environ.get("VIEWLEDGER_OIDC_PAYEE_CLAIM") or "payee",
            scope_claim=environ.get("VIEWLEDGER_OIDC_SCOPE_CLAIM") or "scope",
            client=_client(environ, issuer),
        )

    def accepted(self) -> Issuer:
        """Return what a verifier needs to accept its tokens; the key set is fetched when it is needed."""
        keys = CachedKeySet(partial(fetch_key_set, self.jwks_url), time.monotonic)
        claims = (self.role_claim, self.payee_claim, self.scope_claim)
        return Issuer(self.issuer, (self.audience,), self.algorithms, keys, *claims)


def sign_in_at(
    oidc: OidcSettings | None, issuer: Issuer | None, monotonic: Callable[[], float] = time.monotonic
) -> HttpIdentityProvider | None:
    """Return where people sign in; None where that is not configured. It is asked when somebody does."""
    if oidc is None or issuer is None or oidc.client is None:
        return None
    tokens = IdTokens(issuer, oidc.client.client_id)
    return HttpIdentityProvider(oidc.issuer, oidc.client, tokens, is_trusted=is_safe_url, monotonic=monotonic)


def _client(environ: Mapping[str, str], issuer: str) -> Client | None:
    client_id = environ.get("VIEWLEDGER_OIDC_CLIENT_ID", "")
    if not client_id:
        return None
    if not is_safe_url(issuer):
        raise CommandError(
            "VIEWLEDGER_OIDC_ISSUER must be https where people sign in: it says where they are sent to",
            ExitCode.BAD_INPUT,
        )
    portal_url = settings.url(environ, "VIEWLEDGER_PORTAL_URL", schemes=("https", "http")).rstrip("/")
    parts = urlsplit(portal_url)
    if not is_safe_url(portal_url) or parts.path or parts.query or parts.fragment or parts.username:
        raise CommandError(
            "VIEWLEDGER_PORTAL_URL must be like https://views.example.org, without a path: /portal follows it",
            ExitCode.BAD_INPUT,
        )
    scope = environ.get("VIEWLEDGER_OIDC_SCOPE") or "openid"
    if "openid" not in scope.split():
        raise CommandError(f"VIEWLEDGER_OIDC_SCOPE is {scope!r}; openid must be among it", ExitCode.BAD_INPUT)
    secret = environ.get("VIEWLEDGER_OIDC_CLIENT_SECRET") or None
    return Client(client_id, secret, portal_url + RETURN_PATH, scope)


def is_safe_url(url: str) -> bool:
    """Whether what is sent to or read from this URL cannot be changed on the way: https, or this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
