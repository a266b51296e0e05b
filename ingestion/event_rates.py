"""How many events a network may send: a token bucket for each, in this process's memory, which is bounded. Pure."""

import math
from collections.abc import Callable
from typing import Generic, TypeVar

FULL_AFTER_SECONDS = 60.0
"""A bucket holds what a network may send in this time; one that is left alone for this time is full again."""
NETWORKS_MAX = 50_000
"""Buckets in each of the two halves; about 20 MB together."""

Sender = TypeVar("Sender")


class EventRates(Generic[Sender]):
    """Buckets by sender. `clock` returns monotonic seconds; `per_second` 0 limits nobody.

    A bucket that nobody touched for a minute is full, so it is forgotten without a loss: two halves take turns, and the
    older one is dropped. When a half is full of senders it is dropped early; a forgotten sender begins with a full
    bucket, so a crowd of networks can loosen the limit and never tighten it.
    """

    def __init__(self, per_second: int, clock: Callable[[], float], *, senders_max: int = NETWORKS_MAX) -> None:
        self._per_second = per_second
        self._capacity = per_second * FULL_AFTER_SECONDS
        self._clock = clock
        self._senders_max = senders_max
        self._now: dict[Sender, tuple[float, float]] = {}
        """Sender → what its bucket held, and when."""
        self._before: dict[Sender, tuple[float, float]] = {}
        self._turned_at = clock()

    def seconds_to_wait(self, sender: Sender, events: int) -> int:
        """Return 0 if a sender's bucket holds these events now, else after how many whole seconds it will hold them.

        It takes none: a request is asked about at each of its limits, and `take` counts it when all of them let it in.
        Events of more than a whole bucket need a full one.
        """
        if not self.is_on:
            return 0
        missing = min(float(events), self._capacity) - self._held(sender, self._clock())
        return math.ceil(missing / self._per_second) if missing > 0 else 0

    def take(self, sender: Sender, events: int) -> None:
        """Take events out of a sender's bucket, which `seconds_to_wait` has just found to hold them."""
        if not self.is_on:
            return
        at = self._clock()
        held = self._held(sender, at)
        if at >= self._turned_at + FULL_AFTER_SECONDS or len(self._now) >= self._senders_max:
            self._before, self._now, self._turned_at = self._now, {}, at
        self._now[sender] = (held - min(float(events), self._capacity), at)

    def _held(self, sender: Sender, at: float) -> float:
        held, since = self._now.get(sender) or self._before.get(sender) or (self._capacity, at)
        return min(self._capacity, held + (at - since) * self._per_second)

    @property
    def is_on(self) -> bool:
        """Return whether anybody is limited."""
        return self._per_second > 0

    @property
    def sender_count(self) -> int:
        """Return how many buckets are kept."""
        return len(self._now) + len(self._before)
