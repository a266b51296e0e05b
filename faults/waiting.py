"""Wait for a condition within a bounded time."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


class NotInTimeError(Exception):
    """A condition did not become true in time; the message names it."""


def until(holds: Callable[[], object], seconds: float, what: str) -> float:
    """Return the seconds until `holds()` was true; raise NotInTimeError."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            raise NotInTimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started
