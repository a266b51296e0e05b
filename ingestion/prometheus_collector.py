"""The collector's metrics for Prometheus."""

from collections import Counter as Tally
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ingestion.contract.plays import CountedPlayers

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
        self._of_players = Counter(
            "view_events_with_play_by_player",
            "The same by the player and version that the play names, where it names one.",
            ["player"],
            registry=self.registry,
        )
        self._players = CountedPlayers()
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

    def acknowledged_plays(self, plays: Collection[tuple[str | None, str | None]]) -> None:
        """Count acknowledged events by the country and the player of their plays; None for what there is not."""
        for country, times in Tally(country for country, _ in plays).items():
            if country is not None:
                self._with_play.labels(country).inc(times)
        for player, times in Tally(player for _, player in plays).items():
            if player is not None:
                self._of_players.labels(self._players.label(player)).inc(times)

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)
