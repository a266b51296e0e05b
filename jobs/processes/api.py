"""The API process: published versions from PostgreSQL, provisional counts from Redis, answers over HTTP."""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ingestion.contract.topics import PARTITION_COUNT
from ingestion.contract.unavailable import Part
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.http.metrics import MetricsSettings
from jobs.http.server import HttpSettings
from jobs.resilience.circuit_breaker import CircuitBreaker
from jobs.resilience.circuit_breaker_metrics import show_breakers
from jobs.settings.declared.api import API_DOCS, API_FRESH_SECONDS
from jobs.settings.declared.listening import API_METRICS_PORT, API_PORT
from jobs.settings.declared.servers import SPEED_NAMESPACE
from jobs.telemetry.json_log import log_json
from jobs.wiring.access_settings import AccessSettings, wire_access
from jobs.wiring.api_appeals import BooksAppeals
from jobs.wiring.api_catalogue import CatalogueImporter, ImportSettings
from jobs.wiring.api_history import cursor_key, open_history
from jobs.wiring.api_proofs import open_api_proofs
from jobs.wiring.api_statements import BooksStatements
from jobs.wiring.oidc_settings import sign_in_at
from jobs.wiring.portal import PortalSettings, SharedReaders, SignedOut, routes_of_portal
from serving_layer.access.postgres_api_keys import PostgresApiKeys
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.merge import SpeedSums
from serving_layer.counts.postgres_versions import PostgresVersions
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.portal.postgres_ended_sessions import PostgresEndedSessions
from serving_layer.portal.postgres_operations import PostgresOperations
from serving_layer.request.request_ids import WithRequestId
from serving_layer.routes.http_api import Api, counts_app
from serving_layer.routes.http_appeals import appeal_routes
from serving_layer.routes.http_catalogue import catalogue_routes
from serving_layer.routes.http_live import LiveStreams
from serving_layer.routes.http_proofs import proof_routes
from serving_layer.routes.http_statements import ServedStatements, statement_routes
from speed_layer.redis_segment_store import AsyncRedisSegmentReader

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 0.5


@dataclass(frozen=True)
class ApiSettings:
    """The settings of the API."""

    redis: settings.RedisConnection
    postgres: settings.PostgresConnection
    namespace: str
    fresh_seconds: int
    """An answer is complete if everything that was on the log this long ago is known to be in it."""
    http: HttpSettings
    figures: MetricsSettings
    access: AccessSettings
    cursor_key: bytes
    portal: PortalSettings
    imports: ImportSettings
    shows_docs: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ApiSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        key = cursor_key(environ)
        return cls(
            redis=settings.RedisConnection.from_environ(environ),
            postgres=settings.PostgresConnection.from_environ(environ),
            namespace=SPEED_NAMESPACE.read(environ),
            fresh_seconds=API_FRESH_SECONDS.read(environ),
            http=HttpSettings.from_environ(environ, API_PORT),
            figures=MetricsSettings.from_environ(environ, API_METRICS_PORT),
            access=AccessSettings.from_environ(environ),
            cursor_key=key,
            portal=PortalSettings.from_environ(environ, key),
            imports=ImportSettings.from_environ(environ),
            shows_docs=API_DOCS.read(environ),
        )


class SpeedLayerCounts:
    """The speed layer's reader as serving's port."""

    def __init__(self, reader: AsyncRedisSegmentReader, *, fresh_seconds: int) -> None:
        self._reader = reader
        self._fresh_ms = fresh_seconds * 1000

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        """Return the sums since the offsets; raise UnavailableError."""
        found = await self._reader.read(offset_ends, video_ids)
        is_complete = found.is_complete and found.is_current(self._fresh_ms)
        milliseconds = found.appended_at_ms
        appended_at = None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
        return SpeedSums(offset_ends, found.views, is_complete, appended_at, found.doubtful)


def run() -> ExitCode:
    """Serve until stopped. Starts without PostgreSQL and Redis, too, and answers as soon as they do."""
    environ = settings.environment("API")
    chosen = ApiSettings.from_environ(environ)
    log_json()
    for handler in logging.getLogger().handlers:
        handler.addFilter(WithRequestId())
    listener = chosen.http.listen()
    client = redis.asyncio.Redis.from_url(
        chosen.redis.url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    metrics = ApiMetrics(now=time.time)
    # A connection each: the pointer is followed, and keys are checked, even while a look-up takes its time.
    pointer, counts = PostgresVersions(chosen.postgres.url), PostgresVersions(chosen.postgres.url)
    keys = PostgresApiKeys(chosen.postgres.url)
    postgres_breaker = CircuitBreaker(Part.POSTGRES)
    redis_breaker = CircuitBreaker(Part.REDIS)
    keys_breaker = CircuitBreaker(Part.POSTGRES, name="api_keys")
    show_breakers(metrics.registry, (postgres_breaker, redis_breaker, keys_breaker))
    speed = SpeedLayerCounts(
        AsyncRedisSegmentReader(client, namespace=chosen.namespace), fresh_seconds=chosen.fresh_seconds
    )
    with ThreadPoolExecutor(3, thread_name_prefix="postgres") as executor:
        access = wire_access(chosen.access, keys_breaker.on(keys, PostgresApiKeys.find), executor, metrics.responded)
        reader = CountsReader(
            postgres_breaker.on(pointer, PostgresVersions.current),
            postgres_breaker.on(counts, PostgresVersions.counts, PostgresVersions.changes),
            redis_breaker.on(speed, SpeedLayerCounts.read),
            partition_count=PARTITION_COUNT,
            executor=executor,
            observer=metrics,
        )
        with (
            ThreadPoolExecutor(2, thread_name_prefix="books") as books_executor,
            ThreadPoolExecutor(2, thread_name_prefix="changes") as changes_executor,
            chosen.figures.served(metrics.exposition),
            closing(PostgresOperations(chosen.postgres.url)) as operations,
            closing(PostgresEndedSessions(chosen.postgres.url)) as ended,
            open_history(
                chosen.postgres.url,
                chosen.cursor_key,
                breaker=postgres_breaker,
                current=lambda: reader.version,
                counts_are_public=chosen.access.counts_are_public,
            ) as history,
            open_api_proofs(environ) as proofs,
        ):
            appeals = BooksAppeals(chosen.postgres.url)
            books = ServedStatements(BooksStatements(chosen.postgres.url), history.cursors, books_executor)
            live, provider = LiveStreams(), sign_in_at(chosen.access.oidc, access.oidc)
            shared = SharedReaders(
                access, reader, metrics, history, proofs, books_executor, live, SignedOut(ended, executor)
            )
            routes = [
                *statement_routes(access.guard, books),
                *appeal_routes(access.guard, books, appeals, changes_executor),
                *proof_routes(access.guard, proofs),
                *routes_of_portal(environ, chosen.portal, operations, shared, provider),
            ]
            if chosen.imports.pseudonymise is not None:
                importer = CatalogueImporter(chosen.postgres.url, chosen.imports.pseudonymise)
                routes += catalogue_routes(access.guard, importer, changes_executor)
            logger.info("api ready", extra={"fields": {"host": chosen.http.host, "port": chosen.http.port}})
            api = Api(reader, metrics, access.guard, history, live, routes, shows_docs=chosen.shows_docs)
            code = chosen.http.serve(counts_app(api), listener)
    pointer.close()
    counts.close()
    keys.close()
    logger.info("api stopped")
    return code
