"""Wire the API: published versions from PostgreSQL, provisional counts from Redis, answers over HTTP."""

import logging
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from ingestion.contract.unavailable import Part
from jobs.exit_codes import ExitCode
from jobs.resilience.circuit_breaker import CircuitBreaker
from jobs.resilience.circuit_breaker_metrics import show_breakers
from jobs.wiring.access import sign_in_at, wire_access
from jobs.wiring.api_appeals import BooksAppeals
from jobs.wiring.api_catalogue import CatalogueImporter
from jobs.wiring.api_history import open_history
from jobs.wiring.api_proofs import open_api_proofs
from jobs.wiring.api_settings import ApiSettings
from jobs.wiring.api_statements import BooksStatements
from jobs.wiring.day_rates import ContractDayRates
from jobs.wiring.portal import SharedReaders, SignedOut, routes_of_portal
from serving_layer.access.postgres_api_keys import PostgresApiKeys
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.merge import SpeedSums
from serving_layer.counts.postgres_versions import PostgresVersions
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.money.estimate_reader import EstimateReader
from serving_layer.portal.postgres_ended_sessions import PostgresEndedSessions
from serving_layer.portal.postgres_operations import PostgresOperations
from serving_layer.routes.http_api import Api, counts_app
from serving_layer.routes.http_appeals import appeal_routes
from serving_layer.routes.http_catalogue import catalogue_routes
from serving_layer.routes.http_counts import served
from serving_layer.routes.http_estimates import estimate_routes
from serving_layer.routes.http_live import LiveStreams
from serving_layer.routes.http_plays import play_routes
from serving_layer.routes.http_proofs import proof_routes
from serving_layer.routes.http_statements import ServedStatements, statement_routes
from speed_layer.redis_connection import connected_async
from speed_layer.redis_segment_store import AsyncRedisSegmentReader

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 0.5


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


def serve_api(environ: Mapping[str, str], chosen: ApiSettings, listener: socket.socket) -> ExitCode:
    """Serve until stopped."""
    metrics = ApiMetrics(now=time.time)
    # A connection each: the pointer is followed, and keys are checked, even while a look-up takes its time.
    pointer, counts = PostgresVersions(chosen.postgres.url), PostgresVersions(chosen.postgres.url)
    keys = PostgresApiKeys(chosen.postgres.url)
    postgres_breaker = CircuitBreaker(Part.POSTGRES)
    redis_breaker = CircuitBreaker(Part.REDIS)
    keys_breaker = CircuitBreaker(Part.POSTGRES, name="api_keys")
    show_breakers(metrics.registry, (postgres_breaker, redis_breaker, keys_breaker))
    speed = _speed_layer(chosen)
    with ThreadPoolExecutor(3, thread_name_prefix="postgres") as executor:
        access = wire_access(chosen.access, keys_breaker.on(keys, PostgresApiKeys.find), executor, metrics.responded)
        reader = CountsReader(
            postgres_breaker.on(pointer, PostgresVersions.current),
            postgres_breaker.on(counts, PostgresVersions.counts, PostgresVersions.changes),
            redis_breaker.on(speed, SpeedLayerCounts.read),
            partition_count=chosen.partition_count,
            executor=executor,
            observer=metrics,
        )
        with (
            ThreadPoolExecutor(2, thread_name_prefix="books") as books_executor,
            ThreadPoolExecutor(2, thread_name_prefix="changes") as changes_executor,
            chosen.figures.served(metrics.exposition),
            closing(PostgresOperations(chosen.postgres.url)) as operations,
            closing(PostgresEndedSessions(chosen.postgres.url)) as ended,
            closing(ContractDayRates(chosen.postgres.url)) as rates,
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
            estimates = EstimateReader(
                history.reader,
                partial(served, reader, metrics),
                postgres_breaker.on(rates, ContractDayRates.earned),
                executor=books_executor,
                now=history.now,
                allowed_lateness=chosen.allowed_lateness,
            )
            shared = SharedReaders(
                access, reader, metrics, history, estimates, proofs, books_executor, live, SignedOut(ended, executor)
            )
            routes = [
                *statement_routes(access.guard, books),
                *estimate_routes(access.guard, estimates),
                *appeal_routes(access.guard, books, appeals, changes_executor),
                *proof_routes(access.guard, proofs),
                *routes_of_portal(environ, chosen.portal, operations, shared, provider),
            ]
            if chosen.imports.pseudonymise is not None:
                importer = CatalogueImporter(chosen.postgres.url, chosen.imports.pseudonymise)
                routes += catalogue_routes(access.guard, importer, changes_executor)
            if chosen.sign_play is not None:
                routes += play_routes(access.guard, chosen.sign_play, metrics)
            logger.info("api ready", extra={"fields": {"host": chosen.http.host, "port": chosen.http.port}})
            api = Api(reader, metrics, access.guard, history, live, routes, shows_docs=chosen.shows_docs)
            code = chosen.http.serve(counts_app(api), listener)
    pointer.close()
    counts.close()
    keys.close()
    return code


def _speed_layer(chosen: ApiSettings) -> SpeedLayerCounts:
    servers = connected_async(chosen.redis.url, REDIS_TIMEOUT_SECONDS)
    reader = AsyncRedisSegmentReader(servers, namespace=chosen.namespace)
    return SpeedLayerCounts(reader, fresh_seconds=chosen.fresh_seconds)
