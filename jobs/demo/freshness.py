"""Measure how soon an event is countable, from the speed layer's own latency histogram."""

import re
from collections.abc import Mapping

_BUCKET = re.compile(r'^processing_latency_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)

Histogram = Mapping[float, float]
"""Upper bound in seconds → events at or below it, cumulative."""


def read_histogram(metrics_text: str) -> Histogram:
    """Return the cumulative buckets of `processing_latency_seconds` (append → applied) from a metrics page."""
    return {float(bound): float(count) for bound, count in _BUCKET.findall(metrics_text)}


def quantile_between(before: Histogram, after: Histogram, share: float) -> float:
    """Return the latency in seconds below which `share` of the events between two scrapes lie; NaN without events.

    Interpolated linearly inside a bucket, as Prometheus' `histogram_quantile` does.
    """
    bounds = sorted(after)
    counts = [after[bound] - before.get(bound, 0.0) for bound in bounds]
    if not counts or counts[-1] <= 0:
        return float("nan")
    wanted = share * counts[-1]
    lower_bound = lower_count = 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= wanted:
            if bound == float("inf"):
                return lower_bound
            return lower_bound + (bound - lower_bound) * (wanted - lower_count) / max(count - lower_count, 1e-12)
        lower_bound, lower_count = bound, count
    return lower_bound
