"""The speed layer's metrics."""

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from ingestion.contract.attestation import Attested
from speed_layer.active_viewers import ActiveViewers
from speed_layer.chunk import Chunk
from speed_layer.latency_histogram import LatencyHistogram
from speed_layer.segments import Applied

CHUNK_EVENTS = (1, 10, 50, 100, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)


class _LatencyCollector(Collector):
    """Exposes a LatencyHistogram; the client's own records one observation per call, which is too slow here."""

    def __init__(self, histogram: LatencyHistogram) -> None:
        self._histogram = histogram

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(
            "processing_latency_seconds", "Time from the broker's append of an event until it is counted."
        )
        family.add_metric([], buckets=list(self._histogram.cumulative()), sum_value=self._histogram.sum_seconds)
        yield family


class PrometheusSpeedMetrics:
    """Observes the consume loop, for monitoring and not for billing.

    Counters are of this process. They miss a chunk that was applied while its answer was lost; the counts in the
    store do not.
    """

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._viewers = ActiveViewers()
        self._latency = LatencyHistogram()
        registry.register(_LatencyCollector(self._latency))
        events = Counter("view_events", "View events by verdict.", ["verdict"], registry=registry)
        self._counted = events.labels("counted")
        self._duplicate = events.labels("duplicate")
        self._rejected = events.labels("rejected")
        self._late_review = events.labels("late_review")
        self._invalid_traffic = events.labels("invalid_traffic")
        self._unknown_countries = Counter(
            "view_events_without_known_country",
            "View events whose country is not a known country; they earn the default rate.",
            registry=registry,
        )
        self._warmed_up = Counter(
            "speed_warm_up_events", "Events read again only to know their ids.", registry=registry
        )
        self._apart = Counter(
            "speed_events_apart",
            "Events of videos outside the catalogue that a full segment could not count.",
            registry=registry,
        )
        attestations = Counter(
            "view_events_attested",
            "Well-formed events by whether somebody vouches for them: yes, no, or false (a wrong hash or unknown key).",
            ["attested"],
            registry=registry,
        )
        self._attestations = {each: attestations.labels(each.value) for each in Attested}
        self._chunk_events = Histogram(
            "speed_chunk_events", "Messages in a chunk.", buckets=CHUNK_EVENTS, registry=registry
        )
        self._lag = Gauge(
            "speed_lag_offsets",
            "Offsets between the stored position and the highwater.",
            ["partition"],
            registry=registry,
        )
        self._repairs = Counter(
            "speed_repairs", "Partitions restarted at the published version.", ["partition"], registry=registry
        )
        self._waits = Counter(
            "speed_waits", "Times the loop had to wait for Redis, Kafka or the dead letters.", registry=registry
        )
        viewers = Gauge(
            "active_viewers",
            "Distinct sessions of about the last 60 to 120 s in this process; a sum over processes is an upper bound.",
            registry=registry,
        )
        viewers.set_function(self._active_viewers)

    def polled(self) -> None:
        """Count nothing: the chunks are counted when they are applied."""

    def chunk_applied(self, chunk: Chunk, applied: Applied, applied_at_ms: int) -> None:
        """Note that a chunk of this process was applied."""
        if applied.is_warm_up:
            self._warmed_up.inc(len(chunk.span.records))
            return
        self._counted.inc(applied.counted)
        self._apart.inc(applied.apart)
        self._duplicate.inc(applied.duplicates + chunk.duplicates)
        self._rejected.inc(len(chunk.rejections))
        self._late_review.inc(chunk.late)
        self._invalid_traffic.inc(applied.invalid)
        self._unknown_countries.inc(chunk.unknown_countries)
        for attested, count in chunk.attestations.items():
            self._attestations[attested].inc(count)
        self._chunk_events.observe(len(chunk.span.records))
        for appended_at_ms, times in Tally([record.timestamp for record in chunk.span.records]).items():
            self._latency.add((applied_at_ms - appended_at_ms) / 1000, times)
        with self._lock:
            self._viewers.add(chunk.sessions, self._clock())

    def lag_known(self, partition: int, lag: int) -> None:
        """Set how many offsets lie between the stored position and the highwater."""
        self._lag.labels(str(partition)).set(lag)

    def partitions_gone(self, partitions: Collection[int]) -> None:
        """Remove the series of partitions that now belong to another process."""
        for partition in partitions:
            self._lag.remove(str(partition))

    def repaired(self, partition: int) -> None:
        """Count a restart of a partition."""
        self._repairs.labels(str(partition)).inc()

    def waiting(self) -> None:
        """Count a failed call; the loop waits and retries."""
        self._waits.inc()

    def _active_viewers(self) -> float:
        with self._lock:
            return float(self._viewers.count(self._clock()))
