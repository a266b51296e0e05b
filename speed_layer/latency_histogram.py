"""A histogram that records many equal observations in one call. Pure."""

from bisect import bisect_left
from collections.abc import Iterable

BOUNDS_SECONDS = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5),
    *(0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)


class LatencyHistogram:
    """Counts durations by upper bound, in seconds."""

    def __init__(self, bounds: tuple[float, ...] = BOUNDS_SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_seconds = 0.0

    def add(self, seconds: float, times: int) -> None:
        """Note the same duration `times` times; a negative one (two clocks) counts as 0."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(self.bounds, seconds)] += times
        self.sum_seconds += seconds * times

    def cumulative(self) -> Iterable[tuple[str, float]]:
        """Yield (upper bound, number of observations up to it), as Prometheus expects; the last bound is +Inf."""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            yield ("+Inf" if bound == float("inf") else repr(bound)), float(total)
