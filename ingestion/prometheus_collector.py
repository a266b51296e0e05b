"""The collector's metrics for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

ACKNOWLEDGEMENT_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class CollectorMetrics:
    """The collector's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        events = Counter(
            "view_events_received",
            "Events by outcome: accepted, rejected; or unacknowledged or limited (the client should retry).",
            ["status"],
            registry=self.registry,
        )
        self.accepted = events.labels("accepted")
        self.rejected = events.labels("rejected")
        self.limited = events.labels("limited")
        self.unacknowledged = events.labels("unacknowledged")
        self._with_play = Counter(
            "view_events_with_play",
            "Events that a play's claims went into, and that the broker acknowledged; repeats are among them.",
            ["country"],
            registry=self.registry,
        )
        self.receipts = Counter(
            "view_receipts_signed", "Receipts given, one for each request that gets one.", registry=self.registry
        )
        self.acknowledgement_seconds = Histogram(
            "view_events_acknowledgement_seconds",
            "Time from appending a request's events until the broker acknowledged them all.",
            buckets=ACKNOWLEDGEMENT_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "view_events_in_flight", "Events that wait for the broker's acknowledgement.", registry=self.registry
        )

    def acknowledged_plays(self, countries: Iterable[str | None]) -> None:
        """Count acknowledged events with a play by the countries of their plays; None is an event without one."""
        for country, times in Tally(countries).items():
            if country is not None:
                self._with_play.labels(country).inc(times)

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)
