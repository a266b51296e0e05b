"""How long to wait after failures in a row: doubling, bounded, spread. Pure; the one formula of every retry here."""

from collections.abc import Callable
from dataclasses import dataclass

DOUBLINGS_MAX = 16
"""Keeps the power small; every bound is reached long before."""


@dataclass(frozen=True)
class Backoff:
    """Waits from half of `first_seconds` up to `most_seconds`.

    Jitter: the upper half of each wait is drawn at random, so that many processes do not come back at one moment.
    """

    first_seconds: float
    most_seconds: float

    def seconds(self, failures: int, chance: Callable[[], float]) -> float:
        """How long to wait after so many failures (1 or more); `chance` returns a number in [0, 1)."""
        most = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
        return most * (0.5 + 0.5 * chance())


QUICK = Backoff(0.1, 5.0)
"""For a process that keeps running and whose users wait."""
