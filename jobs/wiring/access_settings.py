"""The settings of access to the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
from serving_layer.access.access import Role
from serving_layer.access.jwt_local_issuer import LocalIssuer


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


def _hsts_seconds(environ: Mapping[str, str]) -> int:
    seconds = HSTS_SECONDS.read_if_set(environ)
    if seconds is None:
        return YEAR_SECONDS if PORTAL_SECURE_COOKIES.read(environ) else 0
    return seconds
