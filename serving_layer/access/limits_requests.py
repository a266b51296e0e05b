"""Limit the number of requests by sender: fixed windows by the `limits` library, in this process's memory.

A shared store would cost every request a round trip and make the API depend on that store; with several API processes
each of them allows the limit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

KEYS_MAX = 100_000
ANONYMOUS, CALLER, REFUSED = "anonymous", "caller", "refused"
"""Policies: per network without a credential; per credential; per network for invalid credentials."""


@dataclass(frozen=True)
class Allowance:
    """The remainder of a limit after a request."""

    policy: str
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int
    is_allowed: bool

    def headers(self) -> dict[str, str]:
        """Return the fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), and Retry-After."""
        found = {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={self.window_seconds}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset_seconds}',
        }
        return found if self.is_allowed else {**found, "Retry-After": str(self.reset_seconds)}


class RequestLimits:
    """Counts requests by policy and sender. `clock` returns seconds since the epoch; rates look like `600/minute`.

    Raises:
        ValueError: a rate has another form.
    """

    def __init__(self, clock: Callable[[], float], *, anonymous: str, caller: str, refused: str = "60/minute") -> None:
        self._clock = clock
        self._policies: dict[str, RateLimitItem] = {
            ANONYMOUS: parse(anonymous), CALLER: parse(caller), REFUSED: parse(refused)
        }  # fmt: skip
        self._counts = _BoundedCounts(clock)
        self._strategy = FixedWindowRateLimiter(self._counts)

    def hit(self, policy: str, sender: str, cost: int = 1) -> Allowance:
        """Count a request of `sender` and return whether it is within its limit."""
        item = self._policies[policy]
        is_allowed = self._strategy.hit(item, policy, sender, cost=cost)
        reset_at, remaining = self._strategy.get_window_stats(item, policy, sender)
        reset_seconds = max(1, round(reset_at - self._clock()))
        return Allowance(policy, item.amount, item.get_expiry(), remaining, reset_seconds, is_allowed)


class _BoundedCounts(Storage):
    """At most KEYS_MAX counters: the oldest is dropped first, which can only relax a limit, never use more memory."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends_at = self._counts.get(key, (0, 0.0))
        now = self._clock()
        if ends_at <= now:
            self._counts.pop(key, None)
            count, ends_at = 0, now + expiry
            if len(self._counts) >= KEYS_MAX:
                del self._counts[next(iter(self._counts))]
        self._counts[key] = (count + amount, ends_at)
        return count + amount

    def get(self, key: str) -> int:
        count, ends_at = self._counts.get(key, (0, 0.0))
        return count if ends_at > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        return self._counts.get(key, (0, self._clock()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._counts)
        self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)
