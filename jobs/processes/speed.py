"""The speed process: one member of the consumer group that counts `video-views` into Redis."""

import gc
import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from ingestion.contract.backoff import Backoff
from ingestion.contract.unavailable import Part
from jobs import settings
from jobs.checkup.kafka_access import READ, WRITE, check_access
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.connections import ConnectionLimits
from jobs.http.probes import probe_app
from jobs.http.server import listening_socket, served_beside
from jobs.processes.stopping import stopping_on_signals
from jobs.resilience.circuit_breaker import CircuitBreaker
from jobs.resilience.circuit_breaker_metrics import show_breakers
from jobs.resilience.failpoints import Failpoints
from jobs.resilience.patience import wait_for
from jobs.resilience.postgres_waits import bound_waits
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.listening import BIND_HOST, SPEED_METRICS_PORT
from jobs.settings.declared.pipeline import (
    SPEED_GROUP,
    SPEED_HORIZON_SECONDS,
    SPEED_SESSION_TIMEOUT_MS,
    SPEED_UNKNOWN_VIDEOS_MAX,
    STATE_DIR,
)
from jobs.settings.declared.servers import (
    POSTGRES_URL,
    REDIS_URL,
    SPEED_NAMESPACE,
    TOPIC_DEAD_LETTERS,
    TOPIC_VIDEO_VIEWS,
)
from jobs.telemetry.figures_file import record_halt
from jobs.telemetry.json_log import log_json
from jobs.wiring.attestations import read_attestation_keys
from jobs.wiring.dated_lists import check_agent_lists
from jobs.wiring.kafka_record_batches import read_every_batch
from jobs.wiring.tracing import TraceSettings
from speed_layer.consume_loop import ConsumeLoop, LoopPorts
from speed_layer.errors import SpeedLayerError
from speed_layer.kafka_dead_letters import KafkaDeadLetters
from speed_layer.kafka_log import KafkaLog, KafkaLogSettings
from speed_layer.last_published import LastPublished
from speed_layer.ports import SpeedObserver
from speed_layer.postgres_catalogue_videos import PostgresCatalogueVideos
from speed_layer.postgres_published_offsets import PostgresPublishedOffsets
from speed_layer.prometheus_speed_metrics import PrometheusSpeedMetrics
from speed_layer.recovery import Horizon
from speed_layer.redis_segment_store import RedisSegmentStore

if TYPE_CHECKING:
    from jobs.telemetry.tracing import Tracing

logger = logging.getLogger(__name__)

POSTGRES_SECONDS_MAX = 3.0
Connected = TypeVar("Connected")


@dataclass(frozen=True)
class SpeedSettings:
    """The settings of the speed process. The URLs may hold passwords and are never shown."""

    kafka: KafkaLogSettings
    dead_letter_topic: str
    redis_url: str
    postgres_url: str
    namespace: str
    horizon: Horizon
    state: Path | None
    """The file that records the halt for Prometheus; None: no file."""
    host: str
    port: int
    unknown_videos_max: int
    """The number of videos outside the catalogue that a partition's segment takes."""
    attestation_keys: Mapping[str, bytes]
    failpoints: Failpoints
    traces: TraceSettings
    limits: ConnectionLimits

    def __repr__(self) -> str:
        return f"SpeedSettings(kafka={self.kafka}, horizon={self.horizon}, port={self.port}, …)"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "SpeedSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            kafka=KafkaLogSettings(
                brokers=read_brokers(environ),
                topic=TOPIC_VIDEO_VIEWS.read(environ),
                group_id=SPEED_GROUP.read(environ),
                session_timeout_ms=SPEED_SESSION_TIMEOUT_MS.read(environ),
            ),
            dead_letter_topic=TOPIC_DEAD_LETTERS.read(environ),
            redis_url=REDIS_URL.read(environ),
            postgres_url=POSTGRES_URL.read(environ),
            namespace=SPEED_NAMESPACE.read(environ),
            horizon=Horizon(SPEED_HORIZON_SECONDS.read(environ) * 1000),
            state=STATE_DIR.read_if_set(environ),
            host=BIND_HOST.read(environ),
            port=SPEED_METRICS_PORT.read(environ),
            unknown_videos_max=SPEED_UNKNOWN_VIDEOS_MAX.read(environ),
            attestation_keys=read_attestation_keys(environ),
            failpoints=Failpoints("speed", environ),
            traces=TraceSettings.from_environ(environ),
            limits=ConnectionLimits.from_environ(environ),
        )


class Readiness:
    """Whether the loop does its work, once it exists and until it is asked to stop."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self.loop: ConsumeLoop | None = None

    def obstacle(self) -> str | None:
        """Return why a partition of this process is not being counted; None if all are."""
        if self._stopping.is_set():
            return "it was asked to stop"
        return None if self.loop is not None and self.loop.is_ready else "it does not count every partition yet"


def run() -> ExitCode:
    """Count until SIGTERM or Ctrl-C. FAILED if the count would be wrong, BAD_INPUT if Redis is configured unsafely.

    It waits for servers that do not answer, also at the start; meanwhile `/readyz` answers 503.
    """
    chosen = SpeedSettings.from_environ(settings.environment("SPEED"))
    if importlib.util.find_spec("crc32c") is None:
        raise CommandError(
            "the package crc32c is missing; without it consuming is 20 times slower", ExitCode.SETUP_FAILED
        )
    log_json()
    read_every_batch()
    check_agent_lists()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    with stopping_on_signals() as stopping:
        readiness = Readiness(stopping)
        with _probes(chosen, registry, readiness):
            try:
                _count(chosen, registry, stopping, readiness)
            except SpeedLayerError as error:
                logger.critical("halted", extra={"fields": {"reason": str(error)}})
                if chosen.state is not None:
                    record_halt(chosen.state, type(error).__name__)
                raise CommandError(f"the speed layer halted: {error}", ExitCode.FAILED) from error
    logger.info("speed stopped")
    return ExitCode.OK


def _count(
    chosen: SpeedSettings,
    registry: CollectorRegistry,
    stopping: threading.Event,
    readiness: Readiness,
) -> None:
    store = RedisSegmentStore.connect(
        chosen.redis_url, namespace=chosen.namespace, unknown_max=chosen.unknown_videos_max
    )
    unsafe = _patiently(store.unsafe_settings, stopping)
    if unsafe:
        raise CommandError("; ".join(unsafe), ExitCode.BAD_INPUT)
    kafka = chosen.kafka
    dead_letters = KafkaDeadLetters(kafka.brokers, source_topic=kafka.topic, topic=chosen.dead_letter_topic)
    log = _patiently(lambda: _open_log(chosen), stopping)
    if log is None:
        return
    catalogue = PostgresCatalogueVideos(chosen.postgres_url)
    threading.Thread(target=catalogue.follow, args=(stopping.wait,), name="catalogue", daemon=True).start()
    started = {"topic": kafka.topic, "group": kafka.group_id, "port": chosen.port}
    with closing(dead_letters), chosen.traces.opened("speed", registry) as tracing:
        observer = _observer(registry, tracing)
        ports = _loop_ports(chosen, registry, observer, (log, store, dead_letters), catalogue, stopping)
        loop = ConsumeLoop(ports, chosen.horizon)
        readiness.loop = loop
        logger.info("speed started", extra={"fields": started})
        gc.freeze()  # what start-up made is never garbage; chunks are freed by reference counts alone
        loop.run(stopping.is_set)


def _observer(registry: CollectorRegistry, tracing: "Tracing | None") -> SpeedObserver:
    if tracing is None:
        return PrometheusSpeedMetrics(registry)
    from jobs.wiring.traced_chunks import TracedChunks  # imported here, as the library of traces is

    return TracedChunks(registry, tracing)


def _open_log(chosen: SpeedSettings) -> KafkaLog:
    kafka = chosen.kafka
    check_access(kafka.brokers, {kafka.topic: (READ,), chosen.dead_letter_topic: (WRITE,)})
    return KafkaLog(kafka)


def _loop_ports(
    chosen: SpeedSettings,
    registry: CollectorRegistry,
    observer: SpeedObserver,
    connected: tuple[KafkaLog, RedisSegmentStore, KafkaDeadLetters],
    catalogue: PostgresCatalogueVideos,
    stopping: threading.Event,
) -> LoopPorts:
    """Put failpoints around the ports, and a circuit breaker around each server."""
    log, store, dead_letters = connected
    on = chosen.failpoints.on
    published = PostgresPublishedOffsets(chosen.postgres_url, chosen.kafka.topic)
    kafka, redis = CircuitBreaker(Part.KAFKA), CircuitBreaker(Part.REDIS)
    letters = CircuitBreaker(Part.KAFKA, name="dead_letters")
    # Counting waits for each try, and works for long with the last published version: so this is rarely queried.
    postgres = CircuitBreaker(Part.POSTGRES, failures_max=1, backoff=Backoff(10.0, 10.0))
    bound_waits(POSTGRES_SECONDS_MAX)
    show_breakers(registry, (kafka, letters, redis, postgres))
    return LoopPorts(
        topic=chosen.kafka.topic,
        catalogue=catalogue,
        # Not `poll`: it never fails while brokers are away, and the group needs it called.
        log=kafka.on(on(log, Part.KAFKA), KafkaLog.ranges, KafkaLog.first_offset_since, KafkaLog.log_id),
        store=redis.on(
            on(store, Part.REDIS),
            RedisSegmentStore.apply,
            RedisSegmentStore.look,
            RedisSegmentStore.reset,
            RedisSegmentStore.now_ms,
            RedisSegmentStore.beat,
        ),
        published=LastPublished(postgres.on(published, PostgresPublishedOffsets.current)),
        dead_letters=letters.on(on(dead_letters, Part.KAFKA), KafkaDeadLetters.send),
        observer=observer,
        clock=time.time,
        elapsed=time.monotonic,
        pause=stopping.wait,
        attestation_keys=chosen.attestation_keys,
    )


def _patiently(connect: Callable[[], Connected], stopping: threading.Event) -> Connected | None:
    """Retry until it works; return None if asked to stop meanwhile."""
    return wait_for(connect, stopping=stopping, before_wait=_waiting)


def _waiting(error: Exception, _failures: int, seconds: float) -> None:
    logger.warning("waiting", extra={"fields": {"reason": str(error), "seconds": round(seconds, 2)}})


@contextmanager
def _probes(chosen: SpeedSettings, registry: CollectorRegistry, readiness: Readiness) -> Iterator[None]:
    """Answer probes until the block ends; raise CommandError if the port is taken."""
    listener = listening_socket(chosen.host, chosen.port, SPEED_METRICS_PORT.name)
    app = probe_app(obstacle=readiness.obstacle, metrics=lambda: generate_latest(registry))
    with served_beside(app, listener, chosen.limits):
        yield
