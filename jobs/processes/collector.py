"""The collector process: HTTP in, Kafka out."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import Part
from ingestion.event_rates import EventRates
from ingestion.http_collector import Collector, collector_app
from ingestion.http_cross_origin import for_origins
from ingestion.play_claims import Plays
from ingestion.receipts import Receipts
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.http.connections import read_proxies
from jobs.http.metrics import MetricsSettings
from jobs.http.server import HttpSettings
from jobs.http.traced import traced
from jobs.resilience.circuit_breaker import BreakerState
from jobs.resilience.circuit_breaker_metrics import show_states
from jobs.resilience.failpoints import Failpoints
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.listening import (
    COLLECTOR_EVENTS_PER_NETWORK,
    COLLECTOR_EVENTS_PER_PLAY_KEY,
    COLLECTOR_METRICS_PORT,
    COLLECTOR_ORIGINS,
    COLLECTOR_PORT,
)
from jobs.settings.declared.pipeline import ACKNOWLEDGEMENT_MS_MAX, PLAYS_REQUIRED
from jobs.settings.declared.servers import TOPIC_VIDEO_VIEWS
from jobs.telemetry.json_log import log_json
from jobs.wiring.dated_lists import network_kinds
from jobs.wiring.event_log import connect
from jobs.wiring.plays import read_plays
from jobs.wiring.pseudonyms import read_pseudonym_key
from jobs.wiring.receipts import read_receipts
from jobs.wiring.tracing import TraceSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CollectorSettings:
    """The settings of the collector."""

    brokers: Brokers
    topic: str
    key: bytes
    plays: Plays
    receipts: Receipts
    proxies: frozenset[str]
    origins: tuple[str, ...]
    http: HttpSettings
    metrics: MetricsSettings
    acknowledgement_ms_max: int
    events_per_network: int
    events_per_play_key: int
    failpoints: Failpoints
    traces: TraceSettings

    def __repr__(self) -> str:
        return f"CollectorSettings(brokers={self.brokers}, topic={self.topic!r}, port={self.http.port}, …)"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "CollectorSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            brokers=read_brokers(environ),
            topic=TOPIC_VIDEO_VIEWS.read(environ),
            key=read_pseudonym_key(environ),
            plays=read_plays(environ, are_required=PLAYS_REQUIRED.read(environ)),
            receipts=read_receipts(environ),
            proxies=read_proxies(environ),
            origins=COLLECTOR_ORIGINS.read(environ),
            http=HttpSettings.from_environ(environ, COLLECTOR_PORT),
            metrics=MetricsSettings.from_environ(environ, COLLECTOR_METRICS_PORT),
            events_per_network=COLLECTOR_EVENTS_PER_NETWORK.read(environ),
            events_per_play_key=COLLECTOR_EVENTS_PER_PLAY_KEY.read(environ),
            acknowledgement_ms_max=ACKNOWLEDGEMENT_MS_MAX.read(environ),
            failpoints=Failpoints("collector", environ),
            traces=TraceSettings.from_environ(environ),
        )


def run() -> ExitCode:
    """Serve until stopped; return UNAVAILABLE if no broker answers at the start or the port is taken."""
    chosen = CollectorSettings.from_environ(settings.environment())
    log_json()
    kinds = network_kinds()
    listener = chosen.http.listen()
    event_log = connect(chosen.brokers, chosen.topic, chosen.acknowledgement_ms_max)
    collector = Collector(
        event_log=chosen.failpoints.on(event_log, Part.KAFKA),
        clock=lambda: datetime.now(UTC),
        pseudonym_key=chosen.key,
        plays=chosen.plays,
        receipts=chosen.receipts,
        trusted_proxies=chosen.proxies,
        network_kinds=kinds,
        rates=EventRates(chosen.events_per_network, time.monotonic),
        play_rates=EventRates(chosen.events_per_play_key, time.monotonic),
        acknowledgement_seconds_max=chosen.acknowledgement_ms_max / 1000 + 1,
    )
    # The log is its own breaker: while it reconnects, appending fails at once.
    show_states(
        collector.metrics.registry,
        {"kafka": lambda: BreakerState.CLOSED if event_log.is_connected else BreakerState.OPEN},
    )
    logger.info(
        "collector ready", extra={"fields": {"host": chosen.http.host, "port": chosen.http.port, "topic": chosen.topic}}
    )
    try:
        with (
            chosen.traces.opened("collector", collector.metrics.registry) as tracing,
            chosen.metrics.served(collector.metrics.exposition),
        ):
            app = traced(collector_app(collector), tracing, "/v1/events")
            return chosen.http.serve(for_origins(app, chosen.origins), listener)
    finally:
        event_log.close()
        logger.info("collector stopped")
