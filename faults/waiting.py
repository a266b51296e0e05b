"""Waiting for something that must come true within a bounded time."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


class NotInTimeError(Exception):
    """It did not come true in time; the message says what."""


def until(holds: Callable[[], object], seconds: float, what: str) -> float:
    """Return the seconds it took until `holds()`; raises NotInTimeError."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            raise NotInTimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started
