"""The settings of the API and of the portal in it."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from ingestion.contract.plays import PlaySigner
from jobs import settings
from jobs.http.metrics import MetricsSettings
from jobs.http.server import HttpSettings
from jobs.settings.declared.api import (
    API_CURSOR_KEY,
    API_DOCS,
    API_FRESH_SECONDS,
    API_IMPORT,
    PORTAL_SECURE_COOKIES,
    PORTAL_URL,
)
from jobs.settings.declared.billing import ALLOWED_LATENESS_HOURS
from jobs.settings.declared.listening import API_METRICS_PORT, API_PORT
from jobs.settings.declared.servers import PARTITIONS, SPEED_NAMESPACE
from jobs.wiring.access_settings import AccessSettings
from jobs.wiring.plays import read_play_signer
from jobs.wiring.pseudonyms import pseudonymiser


@dataclass(frozen=True)
class PortalSettings:
    """The settings of the portal: a secret for its forms, and whether its cookies need HTTPS."""

    form_key: bytes
    secure_cookies: bool
    origin: str | None
    """The origin of the portal's site in browsers; None: any host."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], cursor_key: bytes) -> "PortalSettings":
        """Read whether cookies need HTTPS, and the site's origin.

        The forms' key is derived from the cursors' key, so that all API processes have the same.
        """
        return cls(
            form_key=hmac.new(cursor_key, b"portal forms", hashlib.sha256).digest(),
            secure_cookies=PORTAL_SECURE_COOKIES.read(environ),
            origin=PORTAL_URL.read_if_set(environ),
        )


@dataclass(frozen=True)
class ImportSettings:
    """Whether the API imports catalogues, and the key of viewers' pseudonyms for it."""

    pseudonymise: Callable[[str], str] | None
    """None: it does not, and has no route for it."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ImportSettings":
        """Read whether the API imports catalogues and, if so, the key of the pseudonyms."""
        return cls(pseudonymiser(environ) if API_IMPORT.read(environ) else None)


@dataclass(frozen=True)
class ApiSettings:
    """The settings of the API."""

    redis: settings.RedisConnection
    postgres: settings.PostgresConnection
    namespace: str
    partition_count: int
    """Of the topic of views, until a version tells it."""
    fresh_seconds: int
    """An answer is complete if everything that was on the log this long ago is known to be in it."""
    http: HttpSettings
    figures: MetricsSettings
    access: AccessSettings
    cursor_key: bytes
    portal: PortalSettings
    allowed_lateness: timedelta
    """How long after its end a day's traffic is judged, as in batch runs."""
    imports: ImportSettings
    shows_docs: bool
    sign_play: PlaySigner | None
    """None: it signs no plays, and has no route for it."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ApiSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        key = _cursor_key(environ)
        return cls(
            redis=settings.RedisConnection.from_environ(environ),
            postgres=settings.PostgresConnection.from_environ(environ),
            namespace=SPEED_NAMESPACE.read(environ),
            partition_count=PARTITIONS.read(environ),
            fresh_seconds=API_FRESH_SECONDS.read(environ),
            http=HttpSettings.from_environ(environ, API_PORT),
            figures=MetricsSettings.from_environ(environ, API_METRICS_PORT),
            access=AccessSettings.from_environ(environ),
            cursor_key=key,
            portal=PortalSettings.from_environ(environ, key),
            allowed_lateness=timedelta(hours=ALLOWED_LATENESS_HOURS.read(environ)),
            imports=ImportSettings.from_environ(environ),
            shows_docs=API_DOCS.read(environ),
            sign_play=read_play_signer(environ),
        )


def _cursor_key(environ: Mapping[str, str]) -> bytes:
    """Return the key; the message of an error does not repeat it."""
    return bytes.fromhex(API_CURSOR_KEY.read(environ))
