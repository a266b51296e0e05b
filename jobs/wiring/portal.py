"""Wire the portal into the API process."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.settings.declared.billing import ALLOWED_LATENESS_HOURS
from jobs.wiring.access import Guards
from jobs.wiring.api_settings import PortalSettings
from jobs.wiring.portal_earnings import PayeeEarnings
from jobs.wiring.portal_finance import PortalFinance
from jobs.wiring.portal_money import PortalBooks
from jobs.wiring.portal_operator import OperatorServices
from jobs.wiring.portal_payee_traffic import PayeeTrafficBooks
from jobs.wiring.portal_traffic import PortalGroupReviews
from serving_layer.access.http_access import GuardedRoute
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.history_reader import settled_unavailable
from serving_layer.money.estimate_reader import EstimateReader
from serving_layer.portal.channel_counts import ServedChannelCounts
from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_visit import Portal
from serving_layer.portal.ports import IdentityProvider
from serving_layer.portal.postgres_data import PostgresData
from serving_layer.portal.postgres_ended_sessions import PostgresEndedSessions
from serving_layer.portal.postgres_operations import PostgresOperations
from serving_layer.problems.problems import refused
from serving_layer.routes.http_history import History
from serving_layer.routes.http_live import LiveStreams
from serving_layer.routes.http_proofs import Proofs

Answer = TypeVar("Answer")


class SignedOut:
    """The port `EndedSessions`, from threads of `executor`. `stored` raises UnavailableError."""

    def __init__(self, stored: PostgresEndedSessions, executor: Executor) -> None:
        self._stored, self._executor = stored, executor

    async def was_ended(self, digest: str) -> bool:
        """See the port."""
        return await self._asked(self._stored.was_ended, digest)

    async def end(self, digest: str, ends_at: datetime) -> None:
        """See the port."""
        await self._asked(self._stored.end, digest, ends_at)

    async def _asked(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)
        except UnavailableError as error:
            sentence = "PostgreSQL does not answer, so nobody can be signed out, nor in for longer than some minutes"
            raise refused("access_unavailable", sentence, {"Retry-After": "2"}) from error


@dataclass(frozen=True)
class SharedReaders:
    """The readers of the API process that the portal shares with the other routes."""

    access: Guards
    reader: CountsReader
    metrics: ApiMetrics
    history: History
    estimates: EstimateReader
    proofs: Proofs
    executor: Executor
    live: LiveStreams
    ended: "SignedOut"


def routes_of_portal(
    environ: Mapping[str, str],
    chosen: PortalSettings,
    operations: PostgresOperations,
    shared: SharedReaders,
    provider: IdentityProvider | None,
) -> list[GuardedRoute]:
    """Return every route below /portal."""
    postgres_url = settings.PostgresConnection.from_environ(environ).url
    books = PortalBooks(postgres_url)

    async def name_of(payee_id: str) -> str | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(shared.executor, books.name, payee_id)
        except UnavailableError as error:
            raise settled_unavailable() from error

    counts = ServedChannelCounts(
        shared.history.reader, shared.reader, shared.metrics, shared.history.cursors, name_of, shared.estimates
    )
    return portal_routes(
        Portal(
            guard=shared.access.guard,
            sessions=Sessions(
                shared.access.pages, shared.ended, chosen.form_key, secure=chosen.secure_cookies, origin=chosen.origin
            ),
            counts=counts,
            money=books,
            earnings=PayeeEarnings(postgres_url),
            actions=books,
            finance=PortalFinance(postgres_url, timedelta(hours=ALLOWED_LATENESS_HOURS.read(environ))),
            data=PostgresData(postgres_url),
            proofs=shared.proofs,
            operator=OperatorServices(operations, environ),
            version=lambda: shared.reader.version,
            missing_part=lambda complete: shared.reader.missing_part(complete=complete),
            reviews=PortalGroupReviews(postgres_url),
            traffic=PayeeTrafficBooks(postgres_url),
            live=shared.live,
            provider=provider,
        )
    )
