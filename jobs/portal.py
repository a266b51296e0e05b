"""Wires the portal into the API process."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from jobs import settings
from jobs.access_settings import Doors
from jobs.portal_money import PortalBooks
from jobs.portal_operator import OperatorDesk
from serving_layer.counts_reader import CountsReader
from serving_layer.history_reader import settled_unavailable
from serving_layer.http_access import GuardedRoute
from serving_layer.http_history import History
from serving_layer.http_live import LiveStreams
from serving_layer.http_proofs import Proofs
from serving_layer.portal.channel_counts import ServedChannelCounts
from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_visit import Portal
from serving_layer.portal.ports import IdentityProvider, PartUnavailableError
from serving_layer.portal.postgres_operations import PostgresOperations
from serving_layer.prometheus_api import ApiMetrics


@dataclass(frozen=True)
class PortalSettings:
    """What the portal is told: a secret for its forms, and whether its cookies need HTTPS."""

    form_key: bytes
    secure_cookies: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], cursor_key: bytes) -> "PortalSettings":
        """Reads VIEWLEDGER_PORTAL_SECURE_COOKIES (1; 0 only where browsers come without HTTPS).

        The forms' key follows from the cursors' key, so that all API processes have the same and it is one secret less.
        """
        return cls(
            form_key=hmac.new(cursor_key, b"portal forms", hashlib.sha256).digest(),
            secure_cookies=settings.flag(environ, "VIEWLEDGER_PORTAL_SECURE_COOKIES", default=True),
        )


@dataclass(frozen=True)
class Behind:
    """The readers of the API process that the portal shares with the other routes."""

    doors: Doors
    reader: CountsReader
    metrics: ApiMetrics
    history: History
    proofs: Proofs
    executor: Executor
    live: LiveStreams


def routes_of_portal(
    environ: Mapping[str, str],
    chosen: PortalSettings,
    operations: PostgresOperations,
    behind: Behind,
    provider: IdentityProvider | None,
) -> list[GuardedRoute]:
    """Return every route below /portal."""
    books = PortalBooks(settings.PostgresConnection.from_environ(environ).url)

    async def name_of(payee_id: str) -> str | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(behind.executor, books.name, payee_id)
        except PartUnavailableError as error:
            raise settled_unavailable() from error

    counts = ServedChannelCounts(behind.history.reader, behind.reader, behind.metrics, behind.history.cursors, name_of)
    return portal_routes(
        Portal(
            guard=behind.doors.guard,
            sessions=Sessions(behind.doors.pages, chosen.form_key, secure=chosen.secure_cookies),
            counts=counts,
            money=books,
            actions=books,
            proofs=behind.proofs,
            operator=OperatorDesk(operations, environ),
            version=lambda: behind.reader.version,
            missing_part=lambda complete: behind.reader.missing_part(complete=complete),
            live=behind.live,
            provider=provider,
        )
    )
