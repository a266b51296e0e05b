"""The API's metrics for Prometheus."""

from collections import Counter as Tally
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ingestion.contract.plays import CountedPlayers
from serving_layer.counts.merge import ServedCount, ServedVersion

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_IDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class ApiMetrics:
    """The API's metrics, in a registry of their own. `now` returns seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        requests = Histogram(
            "view_count_request_seconds", "Time to answer a request.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.one_video = requests.labels("one_video")
        self.lookup = requests.labels("lookup")
        self._answers = Counter(
            "view_count_answers",
            "Served counts by whether the speed layer's half was whole.",
            ["state"],
            registry=registry,
        )
        self._complete, self._incomplete = self._answers.labels("complete"), self._answers.labels("incomplete")
        self.unavailable = self._answers.labels("unavailable")
        self._responses = Counter(
            "view_count_responses", "Answers by route and status.", ["route", "status"], registry=registry
        )
        self._plays_signed = Counter(
            "view_plays_signed", "Plays that were signed for the platform.", ["country"], registry=registry
        )
        self._plays_of_players = Counter(
            "view_plays_signed_by_player",
            "The same by the player and version that is to play, where the platform names one.",
            ["player"],
            registry=registry,
        )
        self._players = CountedPlayers()
        self._responses_by: dict[tuple[str, int], Counter] = {}
        reads = Histogram(
            "view_count_read_seconds", "Time of one round trip.", ["store"], buckets=_SECONDS, registry=registry
        )
        ids = Histogram("view_count_read_ids", "Ids per round trip.", ["store"], buckets=_IDS, registry=registry)
        failures = Counter("view_count_read_failures", "Round trips without an answer.", ["store"], registry=registry)
        self._speed = (reads.labels("speed"), ids.labels("speed"), failures.labels("speed"))
        self._settled = (reads.labels("settled"), ids.labels("settled"), failures.labels("settled"))
        self._pointer_seconds, self._pointer_failures = reads.labels("pointer"), failures.labels("pointer")
        self._version = Gauge("view_count_published_version", "The version that is served.", registry=registry)
        self._partitions = Gauge("view_count_partitions", "Partitions of the topic of views.", registry=registry)
        self._age = Gauge(
            "view_count_settled_age_seconds",
            "How long ago settled_until of the served version was; 0 before the first version.",
            registry=registry,
        )
        self._age.set_function(lambda: now() - self._settled_until if self._settled_until else 0.0)
        self._settled_until: float | None = None

    def answered(self, count: ServedCount) -> None:
        """Note that one served count was sent."""
        (self._complete if count.complete else self._incomplete).inc()

    def responded(self, route: str, status: int) -> None:
        """Count an answer of a route, with any status."""
        counter = self._responses_by.get((route, status))
        if counter is None:
            counter = self._responses_by[route, status] = self._responses.labels(route, str(status))
        counter.inc()

    def signed_plays(self, plays: Collection[tuple[str, str | None]]) -> None:
        """Count signed plays by their countries and players."""
        for country, times in Tally(country for country, _ in plays).items():
            self._plays_signed.labels(country).inc(times)
        for player, times in Tally(player for _, player in plays).items():
            if player is not None:
                self._plays_of_players.labels(self._players.label(player)).inc(times)

    def speed_read(self, ids: int, seconds: float, *, answered: bool) -> None:
        """Note that one round trip to the speed layer ended."""
        _observe(self._speed, ids, seconds, answered)

    def settled_read(self, ids: int, seconds: float, *, answered: bool) -> None:
        """Note that one look-up of settled counts ended."""
        _observe(self._settled, ids, seconds, answered)

    def pointer_read(self, seconds: float, *, answered: bool) -> None:
        """Note that one read of the pointer to the published version ended."""
        self._pointer_seconds.observe(seconds)
        if not answered:
            self._pointer_failures.inc()

    def version_known(self, version: ServedVersion) -> None:
        """Note that this version is served from now on."""
        self._version.set(version.version)
        self._partitions.set(len(version.offset_ends))
        self._settled_until = version.settled_until.timestamp() if version.settled_until is not None else None

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)


def _observe(store: tuple[Histogram, Histogram, Counter], ids: int, seconds: float, answered: bool) -> None:
    read_seconds, read_ids, failures = store
    read_seconds.observe(seconds)
    read_ids.observe(ids)
    if not answered:
        failures.inc()
