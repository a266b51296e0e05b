"""The collector's metrics for Prometheus."""

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
        self.with_play = Counter(
            "view_events_with_play",
            "Events that a play's claims went into, and that the broker acknowledged; repeats are among them.",
            registry=self.registry,
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

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)
