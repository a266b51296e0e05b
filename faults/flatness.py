"""Decide whether a process's memory stays flat. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

GROWTH_BYTES_MAX = 8 * 2**20
GROWTH_SHARE_MAX = 0.05


@dataclass(frozen=True)
class Fit:
    """A straight line through the second half of a series, after warm-up."""

    mean_bytes: int
    growth_bytes: int
    """The rise of the line over that half."""

    @property
    def is_flat(self) -> bool:
        """Return whether the rise is below 8 MiB, or below 5 % of the mean."""
        return self.growth_bytes < max(GROWTH_BYTES_MAX, GROWTH_SHARE_MAX * self.mean_bytes)


def fit(samples: Sequence[tuple[float, int]]) -> Fit:
    """Return the line by least squares; `samples` are (seconds, bytes) in the order of time, three at least."""
    half = samples[len(samples) // 2 :]
    if len(half) < 2:
        raise ValueError("too few samples for a line")
    at_mean = sum(at for at, _ in half) / len(half)
    mean = sum(size for _, size in half) / len(half)
    spread = sum((at - at_mean) ** 2 for at, _ in half)
    slope = sum((at - at_mean) * (size - mean) for at, size in half) / spread
    return Fit(round(mean), round(slope * (half[-1][0] - half[0][0])))
