"""Exponential backoff with jitter, bounded. Pure; every retry here uses this formula."""

from collections.abc import Callable
from dataclasses import dataclass

DOUBLINGS_MAX = 16
"""Keeps the power small; every bound is reached long before it."""


@dataclass(frozen=True)
class Backoff:
    """Backoff from half of `first_seconds` up to `most_seconds`.

    Jitter: the upper half of each wait is random, so that many processes do not retry at the same moment.
    """

    first_seconds: float
    most_seconds: float

    def seconds(self, failures: int, chance: Callable[[], float]) -> float:
        """Return the seconds to wait after 1 or more failures in a row; `chance` returns a number in [0, 1)."""
        most = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
        return most * (0.5 + 0.5 * chance())


QUICK = Backoff(0.1, 5.0)
"""For a long-running process whose users wait."""
